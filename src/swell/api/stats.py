"""GET /stats: everything that Swell counts and measures. Ollama has no such endpoint."""

import asyncio
import dataclasses
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.json import json_response
from swell.api.http.services import services
from swell.memory.resident import process_resident
from swell.scheduler.scheduler import LoadedModel


async def stats(request: Request) -> Response:
    """The statistics of every loaded model's runner, null for one that doesn't answer in time, and of the server:

    its memory, its tasks (a busy request is two or three of them), how often each recovery step was taken (`rungs`),
    from whom memory was reclaimed for models in need (`relief`), and what is wrong with its books (`faults`), which is
    empty unless Swell has a bug.
    """
    scheduler = services(request).scheduler
    loaded = await scheduler.loaded()
    models = [{"name": row.model.name, "stats": _stats(row), **_place(row)} for row in loaded]
    server = {
        "resident_bytes": process_resident().total_bytes,
        "tasks": len(asyncio.all_tasks()),
        "rungs": dict(services(request).metrics.recovery_steps),
        "relief": dict(scheduler.metrics.reclaims),
        "faults": scheduler.check_integrity(),
    }
    return json_response({"models": models, "server": server})


def _place(loaded: LoadedModel) -> dict[str, str]:
    """Where in a fleet it is."""
    return dataclasses.asdict(loaded.place) if loaded.place else {}


def _stats(loaded: LoadedModel) -> dict[str, Any] | None:
    """The runner's message, without its type and the number of the request that it answers."""
    if loaded.stats is None:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(loaded.stats)
    return {name: value for name, value in fields.items() if name not in ("id", "type")}
