"""GET /api/tags and POST /api/show: the models there are."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.json import encode, json_response
from swell.api.http.services import find_model, services
from swell.api.ollama.bodies import ShowBody
from swell.api.ollama.replies import local_time
from swell.errors import CloudDisabledError, InvalidRequestError, ModelNotFoundError
from swell.models.catalog import Model, is_path
from swell.models.gguf import GgufArray, GgufHeader, Scalar, read_array, read_header
from swell.models.model import Summary
from swell.models.modelfile import modelfile, parameter_lines
from swell.options import merge
from swell.store.names import parse_name

_NO_TEMPLATE = "{{ .Prompt }}"
"""What Ollama shows for a model without a template: the prompt as it is."""

_HIDDEN_KEYS = ("general.name", "tokenizer.chat_template")


class Details(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A model in the table of models. The two lengths are for tags only."""

    parent_model: str
    format: str
    family: str
    families: tuple[str, ...] | None
    parameter_size: str
    quantization_level: str
    context_length: int = 0
    embedding_length: int = 0


async def tags(request: Request) -> Response:
    """All models, newest first."""
    models = await asyncio.to_thread(services(request).catalog.list)
    return json_response({"models": [_tag(model) for model in models]})


async def show(request: Request) -> Response:
    """Everything about one model."""
    body = await read_body(request, ShowBody)
    name = body.model or body.name
    if not name:
        raise InvalidRequestError("model is required")
    try:
        model = await find_model(request, name)
    except CloudDisabledError as error:
        raise CloudDisabledError("remote model details are unavailable") from error
    except ModelNotFoundError as error:  # unlike everywhere else, the text has the complete short name
        raise ModelNotFoundError(name if is_path(name) else parse_name(name).short) from error
    merge(body.options)  # only for its errors
    info = await asyncio.to_thread(_header_info, model.header, model.path, body.verbose)
    info["general.parameter_count"] = model.header.parameter_count
    projectors = [
        await asyncio.to_thread(_projector_info, path, body.verbose) for path in model.manifest.projectors[:1]
    ]
    if request.headers.get("user-agent", "").startswith("GitHubCopilotChat/"):
        info["general.basename"] = name
    shown = _shown(model, body, info)
    return json_response({**shown, "projector_info": projectors[0]} if projectors else shown)


def _shown(model: Model, body: ShowBody, info: dict[str, Any]) -> dict[str, Any]:
    manifest = model.manifest
    system, options = body.system or manifest.system, {**manifest.parameters, **body.options}
    shown = {
        "license": "\n".join(manifest.licenses),
        "modelfile": modelfile(model, system, options),
        "parameters": parameter_lines(options),
        "template": _NO_TEMPLATE if (template := model.template()) is None else template.text,
        "system": system,
        "messages": [{"role": message.role, "content": message.content} for message in manifest.messages],
        "requires": manifest.config.requires,
    }
    return {
        **{name: value for name, value in shown.items() if value},
        "details": details(model.summary()),
        "model_info": info,
        "tensors": [tensor._asdict() for tensor in model.header.tensors],
        "capabilities": model.capabilities,
        "modified_at": local_time(model.modified_at),
    }


def _tag(model: Summary) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": local_time(model.modified_at),
        "size": model.size_bytes,
        "digest": model.digest,
        "details": details(model, with_lengths=True),
        "capabilities": model.capabilities,
    }


def details(model: Summary, *, with_lengths: bool = False) -> Details:
    """The model's part of a table of models."""
    return Details(
        parent_model="",
        format="gguf",
        family=model.family,
        families=model.families or None,
        parameter_size=model.parameter_size,
        quantization_level=model.quantization_level,
        context_length=model.context_length if with_lengths else 0,
        embedding_length=model.embedding_length if with_lengths else 0,
    )


def _projector_info(path: Path, verbose: bool) -> dict[str, Any]:
    return _header_info(read_header(path), path, verbose)


def _header_info(header: GgufHeader, path: Path, verbose: bool) -> dict[str, Any]:
    """The values of a header; arrays are null unless `verbose`, for which they are read from the file."""
    info: dict[str, Any] = {}
    for key, value in header.metadata.items():
        if key in _HIDDEN_KEYS:
            continue
        if isinstance(value, GgufArray):
            info[key] = _in_json(read_array(path, value)) if verbose else None
        else:
            info[key] = value
    return info


def _in_json(pieces: Iterable[list[Scalar]]) -> msgspec.Raw:
    """One list of all `pieces`."""
    return msgspec.Raw(b"[" + b",".join(encode(piece)[1:-1] for piece in pieces) + b"]")
