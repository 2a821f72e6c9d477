"""Flow charts of the site: every arrow points down, and what isn't understood is refused."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.flow_chart import drawn, rows

NAMES = [f"room{number}" for number in range(12)]
DOWN = st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1])
ARROWS = st.lists(DOWN.map(lambda pair: (NAMES[pair[0]], NAMES[pair[1]])), min_size=1, unique=True)


@given(ARROWS)
def test_every_arrow_points_down(arrows: list[tuple[str, str]]) -> None:
    found = rows(arrows)
    row = {name: at for at, names in enumerate(found) for name in names}
    assert sorted(chain(*found)) == sorted(set(chain(*arrows)))
    assert all(row[start] < row[end] for start, end in arrows)
    assert found == rows(arrows)


@given(ARROWS)
def test_all_of_it_is_drawn(arrows: list[tuple[str, str]]) -> None:
    source = "".join(f"    {start} --> {end}\n" for start, end in arrows)
    picture = drawn(f"flowchart TD\n{source}")
    boxes = len(set(chain(*arrows)))
    assert (picture.count("<rect"), picture.count("<text"), picture.count("marker-end")) == (boxes, boxes, len(arrows))


@pytest.mark.parametrize(
    "source", ["flowchart LR\na --> b", "flowchart TD\na -->|x| b", "flowchart TD\na --> b\nb --> a"]
)
def test_other_charts_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match="arrows"):
        drawn(source)
