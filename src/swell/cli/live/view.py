"""What a live view shows, as lines that fit a terminal. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from swell.cli.fitting import fitted, visible
from swell.cli.human import human_bytes
from swell.cli.live.bars import Glyphs, Shade, Span, bar
from swell.cli.live.readings import ModelReading, SlotReading
from swell.cli.live.timeline import SPAN_S, chart
from swell.cli.live.watching import Watching
from swell.cli.live.wording import moment, subject, wording

Row = Sequence[Span]

_WIDE_COLUMNS = 60
"""From here on slots are called slots."""
_CHART_ROWS = 4
_HAPPENINGS_SHOWN = 5
"""So many are shown before models give up lines for more."""
_DOING = {"idle": "idle", "prefill": "read", "generate": "write", "wait": "wait"}
"""What slots do, in words of at most five letters."""
_ESCAPES = {
    Shade.STRONG: "\x1b[1m",
    Shade.FAINT: "\x1b[2m",
    Shade.USED: "\x1b[32m",
    Shade.GRANTED: "\x1b[33m",
    Shade.NEWS: "\x1b[36m",
}
_PLAIN = "\x1b[0m"


@dataclass(frozen=True)
class Canvas:
    """The room for a view, and what it is drawn with.

    `url` is the server's, `keys` says what may be pressed, and `silent_s` is how long ago the latest reading came.
    """

    columns: int
    rows: int
    glyphs: Glyphs
    url: str = ""
    keys: str = ""
    silent_s: float = 0.0


def drawn(row: Row, columns: int, *, has_colours: bool) -> str:
    """The text of a row, cut at `columns`."""
    pieces, left = [], columns
    for text, shade in row:
        piece = fitted(visible(text), left)
        left -= cell_len(piece)
        escape = _ESCAPES.get(shade, "") if has_colours and piece else ""
        pieces.append(f"{escape}{piece}{_PLAIN}" if escape else piece)
    return "".join(pieces)


def view(watching: Watching, canvas: Canvas) -> list[Row]:
    """All rows, `canvas.rows` at most: how the server is, the models, what happened, and the keys."""
    head = _head(watching, canvas)
    foot: Row = [Span(f"{canvas.keys}  sorted by {watching.order.value}", Shade.FAINT)]
    room = canvas.rows - len(head) - 1
    if room < 1:
        return [*head, foot][: max(canvas.rows, 0)]
    wanted = min(len(watching.happened), _HAPPENINGS_SHOWN) + 1 if watching.happened else 0
    body = _models(watching, canvas, room - wanted if room - wanted >= room // 2 else room)
    body += _chart(watching, canvas, room - len(body) - wanted)
    news = _news(watching, canvas, room - len(body))
    return [*head, *body, *news, *[()] * (room - len(body) - len(news)), foot]


def numbers(watching: Watching, model: ModelReading) -> list[str]:
    """A model's memory, speed and threads, as far as they are known, the most important first."""
    texts = [human_bytes(model.resident_bytes + model.device_bytes)]
    read_per_s, written_per_s = watching.speed(model)
    if written_per_s:
        texts.append(f"writes {written_per_s:.1f}/s")
    if read_per_s:
        texts.append(f"reads {read_per_s:.1f}/s")
    if model.threads is not None and model.threads_allowed is not None:
        texts.append(f"{model.threads}/{model.threads_allowed} threads")
    return texts


def window(model: ModelReading) -> str:
    """Tokens used, granted and at most possible."""
    if model.used_tokens is None or model.granted_tokens is None:
        return f"{model.ceiling_tokens}"
    return f"{model.used_tokens}/{model.granted_tokens}/{model.ceiling_tokens}"


def _head(watching: Watching, canvas: Canvas) -> list[Row]:
    reading = watching.reading
    counts = [f"{len(watching.models)} loaded"] if reading else []
    if reading and reading.active is not None:
        counts.append(f"{reading.active} answering")
    if reading and reading.queued:
        counts.append(f"{reading.queued} waiting")
    title = [Span("swell top", Shade.STRONG), Span(f"  {', '.join(counts)}"), Span(f"  {canvas.url}", Shade.FAINT)]
    if watching.gone:
        return [title, [Span(f"no server, trying again: {watching.gone}", Shade.NEWS)]]
    return [title, ()]


def _models(watching: Watching, canvas: Canvas, room: int) -> list[Row]:
    """The models, with as many details as there is room for; if there is none for all, those around the chosen one."""
    if watching.reading is None:
        return [[Span("waiting for the server", Shade.FAINT)]]
    if not watching.models:
        return [[Span("no model is loaded", Shade.FAINT)]]
    chosen = watching.chosen_index
    details = (
        lambda _: True,
        lambda index: index == chosen,
        lambda _: False,
    )
    pointers = [canvas.glyphs.pointer if index == chosen else " " for index in range(len(watching.models))]
    blocks: list[list[Row]] = []
    for is_detailed in details:
        blocks = [
            _block(model, numbers(watching, model), canvas, pointer=pointers[index], is_detailed=is_detailed(index))
            for index, model in enumerate(watching.models)
        ]
        if sum(map(len, blocks)) <= room:
            return [row for block in blocks for row in block]
    first = chosen
    while first > 0 and sum(map(len, blocks[first - 1 : chosen + 1])) <= room:
        first -= 1
    return [row for block in blocks[first:] for row in block][:room]


def _block(model: ModelReading, right: list[str], canvas: Canvas, *, pointer: str, is_detailed: bool) -> list[Row]:
    """One model: `right` stands behind its name, as far as there is room."""
    while right and cell_len(model.model) + len("  ".join(right)) + 4 > canvas.columns:
        right.pop()
    name = fitted(model.model, canvas.columns - 2)
    gap = canvas.columns - 2 - cell_len(name) - len("  ".join(right))
    rows: list[Row] = [
        [Span(f"{pointer} "), Span(name, Shade.STRONG), Span(" " * gap + "  ".join(right))],
        _window_row(model, canvas),
    ]
    if is_detailed:
        rows += _details(model, canvas)
    return rows


def _window_row(model: ModelReading, canvas: Canvas) -> Row:
    label = _label("window", canvas)
    if model.used_tokens is None or model.granted_tokens is None:
        return [Span(label), Span(f"{model.ceiling_tokens} tokens")]
    return _bar_row(label, (model.used_tokens, model.granted_tokens), window(model), model, canvas)


def _details(model: ModelReading, canvas: Canvas) -> list[Row]:
    """The slots that hold something, and what the memory is."""
    shown = [(index, slot) for index, slot in enumerate(model.slots_detail) if _holds_something(slot)]
    rows: list[Row] = []
    for index, slot in shown:
        doing = f"{index} {_DOING.get(slot.state, slot.state)}"
        label = _label(f"slot {doing}" if canvas.columns >= _WIDE_COLUMNS else doing, canvas)
        text = f"{slot.used_tokens}/{slot.granted_tokens}"
        rows.append(_bar_row(label, (slot.used_tokens, slot.granted_tokens), text, model, canvas))
    empty = len(model.slots_detail) - len(shown)
    texts = list(_memory(model))
    counts = (("growth", model.growths), ("shrink", model.shrinks), ("empty slot", empty))
    texts += [f"{count} {name}{'s' * (count > 1)}" for name, count in counts if count]
    indent = " " * 2
    return [*rows, *([Span(f"{indent}{line}", Shade.FAINT)] for line in _joined(texts, canvas.columns - len(indent)))]


def _memory(model: ModelReading) -> Iterable[str]:
    if model.weights_bytes is not None:
        yield f"weights {human_bytes(model.weights_bytes)}"
    if model.kv_bytes is not None and model.kv_granted_bytes is not None:
        yield f"cache {human_bytes(model.kv_bytes)} of {human_bytes(model.kv_granted_bytes)}"
    if model.other_bytes is not None:
        yield f"other {human_bytes(model.other_bytes)}"
    if model.device_bytes:
        yield f"devices {human_bytes(model.device_bytes)}"


def _joined(texts: Iterable[str], columns: int) -> list[str]:
    """`texts` one after the other, in as many lines as they need."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + len(text) + 2 <= columns:
            lines[-1] += f"  {text}"
        else:
            lines.append(text)
    return lines


def _bar_row(label: str, tokens: tuple[int, int], text: str, model: ModelReading, canvas: Canvas) -> Row:
    """A bar whose length depends on the ceiling's digits only, so that all bars of a model can be compared."""
    text = f"{text:>{3 * len(str(model.ceiling_tokens)) + 2}}"
    spans = bar(*tokens, model.ceiling_tokens, canvas.columns - len(label) - len(text) - 1, canvas.glyphs)
    return [Span(label), *spans, Span(f" {text}")]


def _label(text: str, canvas: Canvas) -> str:
    return f"  {text:<{13 if canvas.columns >= _WIDE_COLUMNS else 8}} "


def _holds_something(slot: SlotReading) -> bool:
    return bool(slot.granted_tokens or slot.used_tokens or slot.state != "idle")


def _chart(watching: Watching, canvas: Canvas, room: int) -> list[Row]:
    """How the chosen model's window rose and fell, if there is room."""
    if room < _CHART_ROWS + 2 or not watching.models or watching.reading is None:
        return []
    name = watching.models[watching.chosen_index].model
    now_s = watching.reading.at_s + canvas.silent_s
    rows = chart(watching.moments(name), now_s, (canvas.columns - 4, _CHART_ROWS), canvas.glyphs)
    title: Row = [Span(f"  {name} in the last {SPAN_S / 60:.0f} minutes", Shade.FAINT)]
    return [(), title, *([Span("  "), *row] for row in rows)] if rows else []


def _news(watching: Watching, canvas: Canvas, room: int) -> list[Row]:
    """The latest happenings, the last one first."""
    if room < 2 or not watching.happened:
        return []
    rule: Row = [Span(canvas.glyphs.rule * canvas.columns, Shade.FAINT)]
    latest = list(reversed(watching.happened))[: room - 1]
    return [
        rule,
        *(
            [Span(f"{moment(one.at_s)} ", Shade.FAINT), Span(subject(one)), Span(wording(one), Shade.NEWS)]
            for one in latest
        ),
    ]
