"""GET /api/ps: the loaded models, with what they hold."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.json import json_response
from swell.api.http.services import services
from swell.api.ollama.models import details
from swell.api.ollama.replies import local_time
from swell.devices import DeviceUse
from swell.scheduler.scheduler import LoadedModel
from swell.settings import Settings
from swell.turns.generation import window_tokens


async def ps(request: Request) -> Response:
    """The loaded models."""
    parts = services(request)
    return json_response({"models": [_row(loaded, parts.settings) for loaded in await parts.scheduler.loaded()]})


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
        "details": details(model.summary()),
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
