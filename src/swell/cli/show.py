"""`show`: everything that is known of a model."""

from collections.abc import Mapping
from typing import Any

from swell.cli.client import Client
from swell.cli.human import human_count
from swell.cli.replies import Shown
from swell.cli.tables import WIDE_WRAP_COLUMNS, section

_HEAD_LINES = 2
_ARRAY_COLUMNS = 10

Rows = list[tuple[str, ...]]


def show_model(client: Client, name: str, *, verbose: bool) -> Shown:
    """Ask the server about a model; `verbose` includes the arrays in its metadata."""
    client.heartbeat()
    return client.post("/api/show", {"model": name, "verbose": verbose}, Shown)


def sections(shown: Shown, *, verbose: bool) -> str:
    """All sections that have rows; `verbose` adds metadata and tensors."""
    plain: list[tuple[str, Rows]] = [
        ("Model", _model_rows(shown)),
        ("Capabilities", [(capability,) for capability in shown.capabilities]),
        ("Projector", _projector_rows(shown.projector_info)),
        ("Parameters", _parameter_rows(shown.parameters)),
    ]
    if verbose:
        plain.append(("Metadata", [(key, format_value(value)) for key, value in sorted(shown.model_info.items())]))
        plain.append(("Tensors", [(tensor.name, tensor.type, _array(tensor.shape)) for tensor in shown.tensors]))
    wide = [("System", _head(shown.system)), ("License", _head(shown.license))]
    text = [section(title, rows) for title, rows in plain if rows]
    text += [section(title, rows, WIDE_WRAP_COLUMNS) for title, rows in wide if rows]
    return "".join(text)


def format_value(value: object) -> str:
    """A metadata value in one cell; long arrays are cut with a count of what is left out."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list):
        return "null" if value is None else str(value)
    kept, columns = 0, 1  # the bracket
    for item in value:
        columns += len(format_value(item)) + (2 if kept else 0)
        if columns > _ARRAY_COLUMNS and kept:
            break
        kept += 1
    text = _array(value[:kept])
    return text if kept == len(value) else f"{text[:-1]} ...+{len(value) - kept} more]"


def _array(items: list[Any]) -> str:
    return f"[{' '.join(map(format_value, items))}]"


def _model_rows(shown: Shown) -> Rows:
    info = shown.model_info
    architecture = str(info.get("general.architecture") or shown.details.family)
    parameters = shown.details.parameter_size or _count(info.get("general.parameter_count"))
    return _present(
        ("architecture", architecture),
        ("parameters", parameters),
        ("context length", info.get(f"{architecture}.context_length")),
        ("embedding length", info.get(f"{architecture}.embedding_length")),
        ("quantization", shown.details.quantization_level),
        ("requires", shown.requires),
    )


def _projector_rows(info: Mapping[str, Any]) -> Rows:
    architecture = info.get("general.architecture")
    return _present(
        ("architecture", architecture),
        ("parameters", _count(info.get("general.parameter_count"))),
        ("embedding length", info.get(f"{architecture}.vision.embedding_length")),
        ("dimensions", info.get(f"{architecture}.vision.projection_dim")),
    )


def _parameter_rows(text: str) -> Rows:
    rows: Rows = []
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name:
            rows.append((name, value.strip()))
    return rows


def _head(text: str) -> Rows:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cut = [*lines[:_HEAD_LINES], "..."] if len(lines) > _HEAD_LINES else lines
    return [(line,) for line in cut]


def _count(value: object) -> str:
    return human_count(value) if isinstance(value, int) else ""


def _present(*rows: tuple[str, object]) -> Rows:
    return [(name, str(value)) for name, value in rows if value not in (None, "")]
