"""GET /api/ps: the loaded models, with what they hold."""

from collections.abc import Mapping, Sequence
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

_ADDED = {
    "size", "size_vram", "cached_tokens", "cut_tokens", "threads", "threads_allowed", "ram_used", "weights_used",
    "kv_used", "kv_granted", "other_used", "vram_used", "vram_free", "vram_total",
}  # fmt: skip
_LARGEST = {"expires_at", "context_length", "context_used", "context_active", "context_allocated", "context_initial"}


async def ps(request: Request) -> Response:
    """The loaded models; in a fleet, those of all replicas."""
    parts = services(request)
    groups: dict[object, list[LoadedModel]] = {}
    for loaded in await parts.scheduler.loaded():
        groups.setdefault(loaded.model.name if loaded.place else id(loaded), []).append(loaded)
    return json_response({"models": [_summed(group, parts.settings) for group in groups.values()]})


def _summed(group: Sequence[LoadedModel], settings: Settings) -> dict[str, Any]:
    """A model's row. In a fleet it is made of those of its replicas: memory and counts are added, of windows the
    largest one counts, and of times the latest.
    """
    rows = [_row(loaded, settings) for loaded in group]
    whole = dict(rows[0])
    for row in rows[1:]:
        for name, value in row.items():
            if name in _ADDED:
                whole[name] = whole.get(name, 0) + value
            elif name in _LARGEST:
                whole[name] = max(whole.get(name, value), value)
    places = [_place(loaded, row) for loaded, row in zip(group, rows, strict=True) if loaded.place is not None]
    return whole | {"replicas": places} if places else whole


def _place(loaded: LoadedModel, row: Mapping[str, Any]) -> dict[str, Any]:
    """What one replica has of a model."""
    assert loaded.place is not None
    return {
        "replica": loaded.place.replica,
        "node": loaded.place.node,
        "size": row["size"],
        "size_vram": row["size_vram"],
        "slots": loaded.facts.slots,
        "requests": loaded.users,
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
            "context_initial": stats.context_initial,
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
