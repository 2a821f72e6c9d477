"""Models in several files."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.tiny.speller import write_speller
from tests.tiny.split import split_gguf

from swell.cache import CacheType
from swell.errors import DamagedModelError, ModelLoadError
from swell.models.model import Model, open_model
from swell.models.split import Part, part_of
from swell.scheduler.placement import needs


def _open(path: Path) -> Model:
    return open_model(path, "m", "m")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    write_speller(tmp_path / "whole.gguf")
    return tmp_path / "whole.gguf"


@pytest.fixture
def parts(whole: Path) -> Sequence[Path]:
    return split_gguf(whole, 3)


def test_all_parts_count(whole: Path, parts: Sequence[Path]) -> None:
    one, split = _open(whole), _open(parts[0])

    assert sorted(split.header.tensors) == sorted(one.header.tensors)
    assert split.header.parameter_count == one.header.parameter_count
    assert split.size_bytes == sum(part.stat().st_size for part in parts)
    assert abs(split.weights_bytes - one.weights_bytes) < 32 * len(parts)
    assert split.weights.parameter_size == one.weights.parameter_size
    assert split.template() == one.template()
    assert _layers(split) == _layers(one)


def _layers(model: Model) -> tuple[int, ...]:
    return needs.estimate(model, cells=8, growth_cells=1, slots=1, batch_tokens=8, cache_type=CacheType.F16).layer_bytes


def test_a_change_in_any_part_is_seen(parts: Sequence[Path]) -> None:
    before = _open(parts[0])
    with parts[2].open("ab") as file:
        file.write(b"x")
    os.utime(parts[1], (2**32, 2**32))
    after = _open(parts[0])

    assert after.digest != before.digest
    assert after.size_bytes == before.size_bytes + 1
    assert after.modified_at.timestamp() == 2**32


def test_a_missing_part_is_named(parts: Sequence[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(ModelLoadError, match=f"missing: {re.escape(str(parts[1]))}"):
        _open(parts[0])


def test_a_damaged_part_is_named(parts: Sequence[Path]) -> None:
    parts[2].write_bytes(parts[2].read_bytes()[:100])
    with pytest.raises(DamagedModelError, match=re.escape(str(parts[2]))):
        _open(parts[0])


def test_only_the_first_part_is_a_model(parts: Sequence[Path]) -> None:
    with pytest.raises(ModelLoadError, match=f"part 2 of 3 of a model; its first is {parts[0].name}"):
        _open(parts[1])


@pytest.mark.parametrize(("one", "other", "text"), [(0, 1, "the first of 3 parts"), (1, 2, "part 1 from 0")])
def test_parts_are_what_they_are_named(parts: Sequence[Path], one: int, other: int, text: str) -> None:
    """llama.cpp would find out when it loads them."""
    aside = parts[one].rename(parts[one].with_name("aside"))
    parts[other].rename(parts[one])
    aside.rename(parts[other])
    with pytest.raises(ModelLoadError, match=text):
        _open(parts[0])


@pytest.mark.parametrize("name", ["renamed.gguf", "whole-00001-of-00004.gguf", "whole-1-of-3.gguf"])
def test_parts_are_found_by_their_names(parts: Sequence[Path], name: str) -> None:
    with pytest.raises(ModelLoadError, match="one of 3 parts of a model, and isn't named as one"):
        _open(parts[0].rename(parts[0].with_name(name)))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a-00002-of-00003.gguf", Part("a", 2, 3)),
        ("a-00001-of-00002-00003-of-00004.gguf", Part("a-00001-of-00002", 3, 4)),
        ("a.gguf", None),
        ("-00001-of-00002.gguf", None),
        ("a-00001-of-00002", None),
        ("a-001-of-002.gguf", None),
    ],
)
def test_what_a_name_says(name: str, part: Part | None) -> None:
    assert part_of(name) == part


def test_times_that_no_calendar_has(whole: Path) -> None:
    for seconds in (-(2**40), 2**40):
        os.utime(whole, (seconds, seconds))
        assert 1970 <= _open(whole).modified_at.year <= 9999
