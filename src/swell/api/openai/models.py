"""GET /v1/models and /v1/models/{model}."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.services import find_model, services
from swell.api.v1 import v1_response
from swell.models.catalog import Model, is_path
from swell.models.model import Summary
from swell.store.names import DEFAULT_NAMESPACE, parse_name


class ModelEntry(msgspec.Struct, kw_only=True):
    """A model. `created` are seconds since 1970. OpenAI has no `max_model_len`; clients of vLLM look for it."""

    id: str
    object: str
    created: int
    owned_by: str
    max_model_len: int


class ModelList(msgspec.Struct, kw_only=True):
    object: str
    data: list[ModelEntry]


async def models(request: Request) -> Response:
    """All models, newest first."""
    found = await asyncio.to_thread(services(request).catalog.list)
    return v1_response(ModelList(object="list", data=[_entry(request, model, model.name) for model in found]))


async def model(request: Request) -> Response:
    """One model, under the name it was asked for; all of them without a name."""
    name = request.path_params["model"]
    if not name:
        return await models(request)
    return v1_response(_entry(request, await find_model(request, name), name))


def _entry(request: Request, model: Model | Summary, id: str) -> ModelEntry:
    return ModelEntry(
        id=id,
        object="model",
        created=int(model.modified_at.timestamp()),
        owned_by=DEFAULT_NAMESPACE if is_path(model.name) else parse_name(model.name).namespace,
        max_model_len=services(request).settings.context_ceiling(model.context_length),
    )
