import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.cli.watched import AT_S, grown, happenings, model, models, reading, watching

from swell.cli.live.bars import ASCII, UNICODE, Glyphs
from swell.cli.live.readings import FirstReading, Gone, Happening, ModelReading, PastModel, PastReading, SlotReading
from swell.cli.live.view import Canvas, drawn, view
from swell.cli.live.watching import Watching


def shown(known: Watching, columns: int = 79, rows: int = 16, glyphs: Glyphs = ASCII) -> list[str]:
    canvas = Canvas(columns, rows, glyphs, "http://h:1", "q quit")
    return [drawn(row, columns, has_colours=False).rstrip() for row in view(known, canvas)]


def test_eighty_columns_show_windows_slots_memory_and_news() -> None:
    unsaid = model("big", used_tokens=None, slots_detail=())
    lines = shown(watching(model(), unsaid).told(grown()).choosing(1), rows=13)
    assert lines[:10] == [
        "swell top  2 loaded, 1 answering  http://h:1",
        "",
        "  big                                        345 MB  writes 17.3/s  1/2 threads",
        "  window        8192 tokens",
        "  weights 97 MB  cache 18 MB of 23 MB  other 48 MB  1 growth",
        "> smol:135m                                  345 MB  writes 17.3/s  1/2 threads",
        "  window        [####=.........................................]  812/1024/8192",
        "  slot 0 write  [####=.........................................]       812/1024",
        "  weights 97 MB  cache 18 MB of 23 MB  other 48 MB  1 growth  1 empty slot",
        "-" * 79,
    ]
    assert re.fullmatch(r"..:..:.. smol:135m: slot 0 grew from 512 to 1024 tokens", lines[10])
    assert lines[-1] == "q quit  sorted by name"


def test_a_low_and_narrow_terminal_shows_the_chosen_model() -> None:
    lines = shown(watching(model("a"), model()).choosing(1), 39, 5)
    assert lines[2:] == [
        "> smol:135m       345 MB  writes 17.3/s",
        "  window   [#=.........]  812/1024/8192",
        "q quit  sorted by name",
    ]


def test_the_window_is_drawn_over_time() -> None:
    past = tuple(
        PastReading(AT_S - 300 + second, (PastModel("smol:135m", second, 100 if second < 150 else 300),))
        for second in range(300)
    )
    known = Watching().told(FirstReading(reading(model(used_tokens=300, granted_tokens=300)), past))
    chart = shown(known, 44, 20, UNICODE)[9:13]
    assert [line.count("▒") + line.count("█") for line in chart] == [21, 21, 40, 40]
    assert [line.count("█") for line in chart] == sorted(line.count("█") for line in chart)
    assert chart[0].endswith("█")


def test_it_says_what_there_is_not() -> None:
    assert shown(Watching())[2] == "waiting for the server"
    assert shown(watching())[2] == "no model is loaded"
    gone = shown(watching(model()).told(Gone("it fell")))
    assert gone[1] == "no server, trying again: it fell"
    assert "812/1024/8192" in gone[3]
    assert shown(watching(model()).told(Gone("it fell")).told(reading(model())))[1] == ""


def test_slots_that_are_empty_take_no_line() -> None:
    lines = shown(watching(model(slots_detail=(SlotReading(),) * 64)), rows=40)
    assert sum("slot " in line for line in lines) == 0
    assert "64 empty slots" in lines[4]


def test_colours_change_nothing_else() -> None:
    rows = view(watching(model()), Canvas(79, 16, UNICODE))
    coloured = [drawn(row, 79, has_colours=True) for row in rows]
    assert any("\x1b[32m" in line for line in coloured)
    plain = [drawn(row, 79, has_colours=False) for row in rows]
    assert [re.sub(r"\x1b\[[0-9]*m", "", line) for line in coloured] == plain


@given(
    st.lists(models, max_size=5),
    st.lists(happenings, max_size=10),
    st.integers(0, 200),
    st.integers(0, 50),
    st.sampled_from((ASCII, UNICODE)),
    st.integers(0, 3),
)
def test_any_view_fits_any_terminal(
    loaded: list[ModelReading], happened: list[Happening], columns: int, rows: int, glyphs: Glyphs, steps: int
) -> None:
    known = watching(*loaded)
    for one in happened:
        known = known.told(one)
    known = known.choosing(steps).sorted_otherwise()
    lines = shown(known, columns, rows, glyphs)
    assert len(lines) <= rows
    for line in lines:
        assert cell_len(line) <= columns
        assert line.isprintable()
