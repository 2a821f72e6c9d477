import dataclasses
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.models.model import open_model
from swell.options import Options
from swell.scheduler.fit import Fit, wanted_fit
from swell.scheduler.order import complete_fit
from swell.scheduler.placement.planner import Fill
from swell.settings import Settings

FITS = st.builds(
    Fit,
    maps_weights=st.none() | st.booleans(),
    device_layers=st.none() | st.integers(0, 3),
    main_device=st.none() | st.integers(0, 1),
    fill=st.none() | st.sampled_from(Fill),
)


@given(FITS)
def test_a_runner_serves_the_request_it_was_loaded_for_and_those_without_wishes(wish: Fit) -> None:
    loaded = complete_fit(wish, Settings())
    assert wish.is_met_by(loaded)
    assert Fit().is_met_by(loaded)


@given(st.lists(FITS, min_size=1, max_size=4))
def test_requests_that_do_not_contradict_each_other_soon_reload_no_more(wishes: list[Fit]) -> None:
    agreeing: list[Fit] = []
    for wish in wishes:
        if all(_agree(wish, other) for other in agreeing):
            agreeing.append(wish)
    loaded = Fit()
    for wish in agreeing:
        if not wish.is_met_by(loaded):
            loaded = complete_fit(wish.completed(loaded), Settings())
    for wish in agreeing:  # by now somebody's choice has taken the place of every default
        if not wish.is_met_by(loaded):
            loaded = complete_fit(wish.completed(loaded), Settings())
    assert all(wish.is_met_by(loaded) for wish in agreeing)


def _agree(one: Fit, other: Fit) -> bool:
    pairs = zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(num_ctx=16, num_batch=1, num_thread=1, temperature=0.1, seed=5, num_keep=7, stop=("x",)), Fit()),
        (Options(use_mmap=False), Fit(maps_weights=False)),
        (Options(num_gpu=5, main_gpu=1), Fit()),  # there is none
    ],
)
def test_only_what_a_runner_cannot_change_counts(tiny_gguf: Path, options: Options, expected: Fit) -> None:
    assert wanted_fit(options, open_model(tiny_gguf, "tiny:latest", "tiny"), 0) == expected


def test_all_layers_are_all_layers(tiny_gguf: Path) -> None:
    model = open_model(tiny_gguf, "tiny:latest", "tiny")
    assert wanted_fit(Options(num_gpu=999), model, 2) == wanted_fit(Options(num_gpu=model.layers + 1), model, 2)
    assert wanted_fit(Options(main_gpu=7), model, 2) == Fit(main_device=7)  # which the planner refuses
