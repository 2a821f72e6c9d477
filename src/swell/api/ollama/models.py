"""GET /api/tags, /api/ps and /stats, POST /api/show."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.ollama.bodies import ShowBody, read_body
from swell.api.ollama.replies import encode, json_response, local_time
from swell.devices import DeviceUse
from swell.errors import InvalidRequestError, ModelNotFoundError
from swell.memory.resident import process_resident
from swell.models.catalog import Model, is_path
from swell.models.gguf import GgufArray, Scalar, read_array
from swell.models.model import Summary
from swell.models.modelfile import modelfile, parameter_lines
from swell.models.names import parse_name
from swell.options import merge
from swell.scheduler.scheduler import LoadedModel
from swell.settings import Settings
from swell.turns.checks import find_model
from swell.turns.generation import window_tokens
from swell.turns.services import services

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


async def ps(request: Request) -> Response:
    """The loaded models."""
    parts = services(request)
    return json_response({"models": [_row(loaded, parts.settings) for loaded in await parts.scheduler.loaded()]})


async def stats(request: Request) -> Response:
    """Memory and slots of the loaded models, in full; null for one whose runner doesn't answer in time.

    Of the server itself, its memory, its tasks (a busy request is two or three of them), what was tried, how often, to
    let requests go on that could not, before that, whose memory models in need were given, and what is wrong with its
    books: nothing, unless Swell has a bug.
    """
    scheduler = services(request).scheduler
    loaded = await scheduler.loaded()
    models = [{"name": row.model.name, "stats": _stats(row)} for row in loaded]
    server = {
        "resident_bytes": process_resident().total_bytes,
        "tasks": len(asyncio.all_tasks()),
        "rungs": {rung.value: count for rung, count in services(request).rungs.items()},
        "relief": {source.value: count for source, count in scheduler.relieved.items()},
        "faults": scheduler.check_integrity(),
    }
    return json_response({"models": models, "server": server})


async def show(request: Request) -> Response:
    """Everything about one model."""
    body = await read_body(request, ShowBody)
    name = body.model or body.name
    if not name:
        raise InvalidRequestError("model is required")
    try:
        model = await find_model(request, name)
    except ModelNotFoundError as error:  # unlike everywhere else, the text has the complete short name
        raise ModelNotFoundError(name if is_path(name) else parse_name(name).short) from error
    merge(body.options)  # only for its errors
    info = await asyncio.to_thread(_model_info, model, body.verbose)
    if request.headers.get("user-agent", "").startswith("GitHubCopilotChat/"):
        info["general.basename"] = name
    return json_response(_shown(model, body, info))


def _shown(model: Model, body: ShowBody, info: dict[str, Any]) -> dict[str, Any]:
    parameters = parameter_lines(body.options)
    return {
        "modelfile": modelfile(model, body.system, body.options),
        **({"parameters": parameters} if parameters else {}),
        "template": model.chat_template or _NO_TEMPLATE,
        **({"system": body.system} if body.system else {}),
        "details": _details(model.summary()),
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
        "details": _details(model, with_lengths=True),
        "capabilities": model.capabilities,
    }


def _row(loaded: LoadedModel, settings: Settings) -> dict[str, Any]:
    """A loaded model, by what the kernel and the devices' drivers count for its runner.

    While that doesn't answer, the file's size stands for host memory. `context_length` is what launchers of agents take
    for the window they may fill: the ceiling of the latest request. Ollama loads a model anew for every other one.
    """
    model, stats = loaded.model, loaded.stats
    devices = loaded.facts.devices if stats is None else stats.devices
    host_bytes = model.size_bytes if stats is None else stats.resident_bytes
    device_bytes = sum(use.used_bytes for use in devices)
    row = {
        "name": model.name,
        "model": model.name,
        # clients take equal sizes for "all on the GPU": then what the runner needs to speak to it doesn't count
        "size": device_bytes if loaded.facts.is_on_devices else device_bytes + host_bytes,
        "digest": model.digest,
        "details": _details(model.summary()),
        "expires_at": local_time(loaded.expires_at),
        "size_vram": device_bytes,
        "context_length": window_tokens(loaded.num_ctx, loaded.facts, settings),
        "context_trained": model.context_length,
    }
    if stats is not None:
        row |= {
            "context_used": stats.context_used,
            "context_active": stats.context_active,
            "context_allocated": stats.context_allocated,
            "cached_tokens": stats.totals.cached,
            "cut_tokens": stats.totals.cut,
            "threads": stats.threads.now,
            "threads_allowed": stats.threads.allowed,
            "ram_used": stats.resident_bytes,
            "weights_used": stats.weights_resident_bytes + sum(use.weights_bytes for use in devices),
            "kv_used": stats.kv_resident_bytes,
            "kv_granted": stats.kv_granted_bytes,
            "other_used": stats.other_bytes + sum(use.compute_bytes for use in devices),
            "vram_used": device_bytes,
            "vram_free": sum(use.free_bytes for use in devices),
            "vram_total": sum(use.total_bytes for use in devices),
        }
    if devices:
        row["devices"] = [_device(use) for use in devices]
    return row


def _device(use: DeviceUse) -> dict[str, Any]:
    """What of the model is on one device."""
    return {
        "name": use.name,
        "layers": use.layers,
        "used": use.used_bytes,
        "free": use.free_bytes,
        "total": use.total_bytes,
    }


def _stats(loaded: LoadedModel) -> dict[str, Any] | None:
    """The runner's own words; the number of its request means nothing to anybody else."""
    if loaded.stats is None:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(loaded.stats)
    return {name: value for name, value in fields.items() if name not in ("id", "type")}


def _details(model: Summary, *, with_lengths: bool = False) -> Details:
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


def _model_info(model: Model, verbose: bool) -> dict[str, Any]:
    """The header's values; arrays are null unless `verbose`, for which they are read from the file."""
    info: dict[str, Any] = {}
    for key, value in model.header.metadata.items():
        if key in _HIDDEN_KEYS:
            continue
        if isinstance(value, GgufArray):
            info[key] = _in_json(read_array(model.path, value)) if verbose else None
        else:
            info[key] = value
    return {**info, "general.parameter_count": model.header.parameter_count}


def _in_json(pieces: Iterable[list[Scalar]]) -> msgspec.Raw:
    """One list of all `pieces`."""
    return msgspec.Raw(b"[" + b",".join(encode(piece)[1:-1] for piece in pieces) + b"]")
