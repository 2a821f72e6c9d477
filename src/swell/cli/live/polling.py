"""Readings of servers that don't tell by themselves: what GET /api/ps and GET /stats say. Pure, but for `poll`.

Swell's own servers have both, Ollama has only the former, and says little there.
"""

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import msgspec

from swell.cli.client import Client
from swell.cli.errors import RefusedError
from swell.cli.live.readings import Happening, ModelReading, ServerReading, SlotReading
from swell.cli.replies import Running, RunningModel


class SlotRow(msgspec.Struct, frozen=True):
    """A slot, as GET /stats has it."""

    state: str
    used: int
    granted: int


class TotalRows(msgspec.Struct, frozen=True):
    """What is counted since a model was loaded."""

    prompt: int = 0
    cached: int = 0
    generated: int = 0
    growths: int = 0
    shrinks: int = 0


class RunnerRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's runner says."""

    slots: int
    slots_in_use: int
    totals: TotalRows
    slots_detail: tuple[SlotRow, ...] = ()


class NamedRunner(msgspec.Struct, frozen=True):
    """A model's runner; `stats` are None if it doesn't answer in time."""

    name: str
    stats: RunnerRow | None = None


class ServerRow(msgspec.Struct, frozen=True):
    """How often each recovery step was taken, and from whom memory was reclaimed."""

    rungs: dict[str, int] = {}
    relief: dict[str, int] = {}


class StatsReply(msgspec.Struct, frozen=True):
    """GET /stats."""

    models: tuple[NamedRunner, ...] = ()
    server: ServerRow = ServerRow()


class Poll(msgspec.Struct, frozen=True):
    """What was read at one moment."""

    reading: ServerReading
    server: ServerRow = ServerRow()


def poll(client: Client) -> Poll:
    """Ask the server for its numbers. Raises what the client raises."""
    running = client.get("/api/ps", Running)
    try:
        stats = client.get("/stats", StatsReply)
    except RefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        stats = StatsReply()
    runners = {row.name: row.stats for row in stats.models}
    models = tuple(_model(row, runners.get(row.name)) for row in running.models)
    busy = [model.slots_busy for model in models if model.slots_busy is not None]
    reading = ServerReading(at_s=time.time(), active=sum(busy) if busy else None, models=models)
    return Poll(reading, stats.server)


def rated(now: Poll, before: Poll) -> Poll:
    """`now` with the tokens per second that were read and written since `before`."""
    elapsed_s = now.reading.at_s - before.reading.at_s
    known = {model.model: model for model in before.reading.models}
    models = tuple(_rated(model, known.get(model.model), elapsed_s) for model in now.reading.models)
    return Poll(msgspec.structs.replace(now.reading, models=models), now.server)


def differences(before: Poll, now: Poll) -> Iterator[Happening]:
    """What must have happened between two polls. What came and went in between isn't seen."""
    at_s = now.reading.at_s
    known = {model.model: model for model in before.reading.models}
    for model in now.reading.models:
        if (earlier := known.pop(model.model, None)) is None:
            yield Happening(at_s=at_s, event="load_ended", model=model.model, outcome="loaded")
        else:
            yield from _resized(earlier, model, at_s)
    for name in known:
        yield Happening(at_s=at_s, event="model_unloaded", model=name)
    for source in _more(before.server.relief, now.server.relief):
        yield Happening(at_s=at_s, event="memory_reclaimed", source=source)
    for step in _more(before.server.rungs, now.server.rungs):
        yield Happening(at_s=at_s, event="recovery_started", step=step)


def _resized(before: ModelReading, now: ModelReading, at_s: float) -> Iterator[Happening]:
    """The slots whose grants have changed."""
    for index, (earlier, slot) in enumerate(zip(before.slots_detail, now.slots_detail, strict=False)):
        if slot.granted_tokens != earlier.granted_tokens:
            yield Happening(
                at_s=at_s,
                event="window_grown" if slot.granted_tokens > earlier.granted_tokens else "window_shrunk",
                model=now.model,
                slot=index,
                from_tokens=earlier.granted_tokens,
                to_tokens=slot.granted_tokens,
                granted_bytes=now.kv_granted_bytes or 0,
            )


def _more(before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[str]:
    """What was counted since."""
    return (name for name, count in now.items() if count > before.get(name, 0))


def _rated(now: ModelReading, before: ModelReading | None, elapsed_s: float) -> ModelReading:
    if before is None or elapsed_s <= 0:
        return now
    counts = (now.prompt_tokens, now.cached_tokens, now.generated_tokens)
    earlier = (before.prompt_tokens, before.cached_tokens, before.generated_tokens)
    prompt, cached, generated = ((new or 0) - (old or 0) for new, old in zip(counts, earlier, strict=True))
    return msgspec.structs.replace(
        now,
        read_per_s=round(max(0, prompt - cached) / elapsed_s, 1),  # less than before: it was loaded anew
        generated_per_s=round(max(0, generated) / elapsed_s, 1),
    )


def _model(row: RunningModel, runner: RunnerRow | None) -> ModelReading:
    device_bytes = row.size_vram if row.vram_used is None else row.vram_used
    reading = ModelReading(
        model=row.name,
        digest=row.digest,
        expires_at=row.expires_at.isoformat(),
        used_tokens=row.context_used,
        granted_tokens=row.context_allocated,
        ceiling_tokens=row.context_length,
        initial_tokens=row.context_initial,
        resident_bytes=max(0, row.size - device_bytes) if row.ram_used is None else row.ram_used,
        weights_bytes=row.weights_used,
        kv_bytes=row.kv_used,
        kv_granted_bytes=row.kv_granted,
        other_bytes=row.other_used,
        device_bytes=device_bytes,
        threads=row.threads,
        threads_allowed=row.threads_allowed,
    )
    if runner is None:
        return reading
    return msgspec.structs.replace(
        reading,
        slots=runner.slots,
        slots_busy=runner.slots_in_use,
        prompt_tokens=runner.totals.prompt,
        cached_tokens=runner.totals.cached,
        generated_tokens=runner.totals.generated,
        growths=runner.totals.growths,
        shrinks=runner.totals.shrinks,
        slots_detail=tuple(SlotReading(slot.state, slot.used, slot.granted) for slot in runner.slots_detail),
    )
