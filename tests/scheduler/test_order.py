import dataclasses
from pathlib import Path

from swell.durations import FOREVER_S
from swell.models.model import open_model
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.order import LedgerAccess, complete_load_options, load_order
from swell.scheduler.ward import Ward
from swell.settings import Settings

SHARE = LedgerAccess(ledger_fd=7, demands_fd=8, entry=3, budget_bytes=None, headroom_bytes=5)


def test_the_order_says_what_the_fit_and_the_settings_say(tiny_gguf: Path) -> None:
    model = open_model(tiny_gguf, "tiny:latest", "tiny")
    settings = dataclasses.replace(Settings(), kv_wait_s=3.0, num_parallel=2)
    fit = complete_load_options(LoadOptions(maps_weights=False), settings)
    order = load_order(model, Ward.COMMON, fit, settings, SHARE)
    assert order.maps_weights is False
    assert (order.ledger_fd, order.demands_fd, order.ledger_entry, order.headroom_bytes) == (7, 8, 3, 5)
    assert (order.memory_wait_s, order.slots) == (3.0, 2)


def test_by_default_weights_are_mapped_and_devices_left_to_the_planner() -> None:
    fit = complete_load_options(LoadOptions(), Settings())
    assert fit.cache_type is not None
    assert fit.maps_weights
    assert (fit.device_layers, fit.main_device, fit.fill) == (None, None, None)
    assert Settings().load_timeout_s < FOREVER_S
