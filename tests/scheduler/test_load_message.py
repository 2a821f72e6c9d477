"""What a runner is told when it is to load a model."""

import dataclasses
from pathlib import Path

import pytest
from tests.scheduler.fakes import with_adapters

from swell.cache import CacheType
from swell.durations import FOREVER_S
from swell.models.model import Model, open_model
from swell.scheduler.accounts import LedgerAccess
from swell.scheduler.first_grant import FirstGrant
from swell.scheduler.load_message import estimated_memory, load_message
from swell.scheduler.load_options import LoadOptions, complete_load_options
from swell.scheduler.load_plan import LoadPlan
from swell.scheduler.runner_key import RunnerKey, RunnerRole
from swell.settings import Settings

BOOKS = LedgerAccess(ledger_fd=7, devices_fd=9, demands_fd=8, entry=3, budget_bytes=None, headroom_bytes=5)
GRANT = FirstGrant(5000, 2000)


@pytest.fixture
def model(tiny_gguf: Path) -> Model:
    return open_model(tiny_gguf, "tiny:latest", "tiny")


def planned(model: Model, options: LoadOptions, settings: Settings, role: RunnerRole = RunnerRole.SHARED) -> LoadPlan:
    """The plan of a load that begins with `GRANT`."""
    return LoadPlan(
        model=model,
        key=RunnerKey(model.key, role),
        options=options,
        books=BOOKS,
        first_grant=GRANT,
        expected=estimated_memory(model, options, settings, GRANT),
    )


@pytest.mark.parametrize("role", RunnerRole)
def test_it_says_what_the_plan_and_the_settings_say(model: Model, role: RunnerRole) -> None:
    settings = dataclasses.replace(Settings(), kv_wait_s=3.0, num_parallel=2)
    options = complete_load_options(LoadOptions(maps_weights=False, cache_type=CacheType.Q8_0), settings)
    message = load_message(planned(model, options, settings, role), settings)
    assert message.maps_weights is False
    assert message.cache_type is CacheType.Q8_0
    assert (message.ledger_fd, message.devices_fd, message.demands_fd, message.ledger_entry) == (7, 9, 8, 3)
    assert message.headroom_bytes == 5
    assert (message.memory_wait_s, message.slots, message.initial_tokens) == (3.0, 2, 5000)
    assert message.books_weights is (role is RunnerRole.SHARED)  # one of the two runners books what both map


def test_it_names_what_is_loaded_and_tells_it_from_all_else(model: Model) -> None:
    options = complete_load_options(LoadOptions(), Settings())
    messages = []
    for one in (model, with_adapters(model, "one"), with_adapters(model, "one", "other")):
        messages.append(load_message(planned(one, options, Settings()), Settings()))
    assert [message.adapters for message in messages] == [[], ["/one"], ["/one", "/other"]]
    assert len({message.model for message in messages}) == 3


def test_by_default_weights_are_mapped_and_devices_left_to_the_planner() -> None:
    options = complete_load_options(LoadOptions(), Settings())
    assert options.cache_type is not None
    assert options.maps_weights
    assert (options.device_layers, options.main_device, options.fill) == (None, None, None)
    assert Settings().load_timeout_s < FOREVER_S
