"""`list` and `ps`: the models there are, and the ones that are loaded."""

from collections.abc import Sequence
from datetime import datetime

from swell.cli.client import Client
from swell.cli.human import human_bytes, modified, processor, until
from swell.cli.replies import Running, RunningModel, StoredModel, Tags
from swell.cli.tables import table

_ID_CHARACTERS = 12
_ABSENT = "-"


def list_models(client: Client, prefix: str) -> str:
    """The table of stored models whose names start with `prefix`."""
    client.heartbeat()
    models = [model for model in client.get("/api/tags", Tags).models if _matches(model.name, prefix)]
    return stored_table(models, datetime.now().astimezone())


def list_running(client: Client, prefix: str, *, verbose: bool) -> str:
    """The table of loaded models whose names start with `prefix`."""
    client.heartbeat()
    models = [model for model in client.get("/api/ps", Running).models if _matches(model.name, prefix)]
    return running_table(models, datetime.now().astimezone(), verbose=verbose)


def stored_table(models: Sequence[StoredModel], now: datetime) -> str:
    """Columns NAME ID SIZE MODIFIED."""
    rows = [
        (model.name, model.digest[:_ID_CHARACTERS], human_bytes(model.size), modified(model.modified_at, now))
        for model in models
    ]
    return table(("NAME", "ID", "SIZE", "MODIFIED"), rows)


def running_table(models: Sequence[RunningModel], now: datetime, *, verbose: bool) -> str:
    """Columns NAME ID SIZE PROCESSOR CONTEXT UNTIL; `verbose` adds ACTIVE, CUT, THREADS, VRAM, RAM and its use."""
    header = ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    if verbose:
        header[5:] = ["ACTIVE", "CUT", "THREADS", "UNTIL", "VRAM", "RAM", "WEIGHTS", "KV", "OTHER"]
    return table(header, [_running_row(model, now, verbose=verbose) for model in models])


def _running_row(model: RunningModel, now: datetime, *, verbose: bool) -> list[str]:
    context = str(model.context_length)
    if model.context_allocated is not None:
        context = f"{model.context_allocated}/{context}"
    row = [
        model.name,
        model.digest[:_ID_CHARACTERS],
        human_bytes(model.size),
        processor(model.size, model.size_vram),
        context,
        until(model.expires_at, now),
    ]
    if verbose:
        tokens = [_count(model.context_active), _count(model.cut_tokens)]
        threads = _threads(model)
        memory = [_size(model.ram_used), _size(model.weights_used), _kv(model), _size(model.other_used)]
        row[5:] = [*tokens, threads, row[5], _vram(model), *memory]
    return row


def _threads(model: RunningModel) -> str:
    """How many compute now, of how many there may be."""
    if model.threads is None or model.threads_allowed is None:
        return _ABSENT
    return f"{model.threads}/{model.threads_allowed}"


def _vram(model: RunningModel) -> str:
    if model.vram_used is None or not model.vram_total:
        return _ABSENT
    return f"{human_bytes(model.vram_used)}/{human_bytes(model.vram_total)}"


def _kv(model: RunningModel) -> str:
    """What the cache takes, of what it may take."""
    if model.kv_used is None or model.kv_granted is None:
        return _ABSENT
    return f"{human_bytes(model.kv_used)}/{human_bytes(model.kv_granted)}"


def _count(tokens: int | None) -> str:
    return _ABSENT if tokens is None else str(tokens)


def _size(size_bytes: int | None) -> str:
    return _ABSENT if size_bytes is None else human_bytes(size_bytes)


def _matches(name: str, prefix: str) -> bool:
    return name.lower().startswith(prefix.lower())
