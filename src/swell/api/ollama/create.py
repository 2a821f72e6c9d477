"""POST /api/create: a model made of another one, or of uploaded files."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.services import library
from swell.api.ollama.progress import progress_response
from swell.library.recipe import Recipe, quantization
from swell.store.config import ModelConfig
from swell.store.digests import parse_digest
from swell.store.names import parse_name
from swell.text.prompts.messages import Message


class CreateBody(msgspec.Struct, kw_only=True):
    """The body. `name` and `quantization` are the old names of `model` and `quantize`; `license` is one or several."""

    model: str = ""
    name: str = ""
    base: str = msgspec.field(default="", name="from")
    files: dict[str, str] = {}
    adapters: dict[str, str] = {}
    draft_files: dict[str, str] = {}
    template: str = ""
    system: str = ""
    license: str | list[str] = ""
    parameters: dict[str, Any] = {}
    messages: list[Message] = []
    quantize: str = ""
    quantization: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    stream: bool = True


async def create(request: Request) -> Response:
    """The endpoint: lines of progress, or the last one."""
    body = await read_body(request, CreateBody)
    return await progress_response(request, library(request).create(_recipe(body)), stream=body.stream)


def _recipe(body: CreateBody) -> Recipe:
    """What `body` asks for. Raises InvalidRequestError or InvalidDigestError."""
    licenses = [body.license] if isinstance(body.license, str) else body.license
    return Recipe(
        name=parse_name(body.model or body.name),
        base=body.base,
        files=_digests(body.files),
        adapters=_digests(body.adapters),
        drafts=_digests(body.draft_files),
        template=body.template,
        system=body.system,
        licenses=[text for text in licenses if text],
        parameters=body.parameters,
        messages=body.messages,
        quantization=quantization(body.quantize or body.quantization),
        config=ModelConfig(renderer=body.renderer, parser=body.parser, requires=body.requires),
    )


def _digests(files: dict[str, str]) -> dict[str, str]:
    return {name: parse_digest(digest) for name, digest in files.items()}
