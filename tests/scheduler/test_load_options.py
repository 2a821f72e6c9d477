import dataclasses
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.devices import Fill
from swell.models.model import open_model
from swell.options import Options
from swell.scheduler.load_options import LoadOptions, complete_load_options, requested_load_options
from swell.settings import Settings

FITS = st.builds(
    LoadOptions,
    maps_weights=st.none() | st.booleans(),
    device_layers=st.none() | st.integers(0, 3),
    main_device=st.none() | st.integers(0, 1),
    fill=st.none() | st.sampled_from(Fill),
)


@given(FITS)
def test_a_runner_serves_the_request_it_was_loaded_for_and_those_without_wishes(wish: LoadOptions) -> None:
    loaded = complete_load_options(wish, Settings())
    assert wish.is_met_by(loaded)
    assert LoadOptions().is_met_by(loaded)


@given(st.lists(FITS, min_size=1, max_size=4))
def test_requests_that_do_not_contradict_each_other_soon_reload_no_more(wishes: list[LoadOptions]) -> None:
    agreeing: list[LoadOptions] = []
    for wish in wishes:
        if all(_agree(wish, other) for other in agreeing):
            agreeing.append(wish)
    loaded = LoadOptions()
    for wish in agreeing:
        if not wish.is_met_by(loaded):
            loaded = complete_load_options(wish.completed(loaded), Settings())
    for wish in agreeing:  # by now somebody's choice has taken the place of every default
        if not wish.is_met_by(loaded):
            loaded = complete_load_options(wish.completed(loaded), Settings())
    assert all(wish.is_met_by(loaded) for wish in agreeing)


def _agree(one: LoadOptions, other: LoadOptions) -> bool:
    pairs = zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            Options(num_ctx=16, num_batch=1, num_thread=1, temperature=0.1, seed=5, num_keep=7, stop=("x",)),
            LoadOptions(),
        ),
        (Options(use_mmap=False), LoadOptions(maps_weights=False)),
        (Options(num_gpu=5, main_gpu=1), LoadOptions()),  # there is none
    ],
)
def test_only_what_a_runner_cannot_change_counts(tiny_gguf: Path, options: Options, expected: LoadOptions) -> None:
    assert requested_load_options(options, open_model(tiny_gguf, "tiny:latest", "tiny"), 0) == expected


def test_all_layers_are_all_layers(tiny_gguf: Path) -> None:
    model = open_model(tiny_gguf, "tiny:latest", "tiny")
    assert requested_load_options(Options(num_gpu=999), model, 2) == requested_load_options(
        Options(num_gpu=model.layers + 1), model, 2
    )
    assert requested_load_options(Options(main_gpu=7), model, 2) == LoadOptions(
        main_device=7
    )  # which the planner refuses
