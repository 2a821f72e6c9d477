"""From settings, a request's options and the devices that were found to a placement; and what comes of it."""

import logging
from collections.abc import Sequence
from pathlib import Path

from swell.cache import StoreKind
from swell.kv.policy import default_slots
from swell.placement import DeviceMemory, DeviceUse, Placement
from swell.protocol.messages import DevicesFound, Load
from swell.server.models.model import Model
from swell.server.options import Options
from swell.server.placement.correction import Correction
from swell.server.placement.needs import Needs, estimate
from swell.server.placement.planner import ALL_LAYERS, Fill, Plan, Wish, plan
from swell.settings import Settings

log = logging.getLogger(__name__)


class Placer:
    """Knows the settings, and for each model how far its estimates were off."""

    def __init__(self, settings: Settings) -> None:
        self._fill = Fill.SPREAD if settings.sched_spread else Fill.PACKED
        self._corrections: dict[Path, Correction] = {}

    def wish(self, options: Options) -> Wish:
        """What `options` say about the placement; what they leave open is the server's setting."""
        fill = {None: self._fill, True: Fill.SPREAD, False: Fill.PACKED}[options.sched_spread]
        layers = ALL_LAYERS if options.num_gpu < 0 else options.num_gpu
        return Wish(layers=layers, main_device=options.main_gpu, fill=fill)

    def place(self, model: Model, load: Load, wish: Wish) -> "Placing":
        """Begin to place `model` for one load."""
        return Placing(model, load, wish, self._corrections)


class Placing:
    """One load's placement: decided when the devices are known, compared with what was taken in the end."""

    def __init__(self, model: Model, load: Load, wish: Wish, corrections: dict[Path, Correction]) -> None:
        self._model = model
        self._load = load
        self._wish = wish
        self._corrections = corrections
        self._plan: Plan | None = None

    def decide(self, found: DevicesFound) -> Placement:
        """Where the layers go on what was found; raises InvalidRequestError if a wish can't be met."""
        for missing in found.missing:
            log.warning("going on without the worker %s: %s", missing.worker, missing.reason)
        decided = plan(
            self._correction.apply(_needs(self._model, self._load)),
            found.devices,
            self._wish,
            self._load.device_headroom_bytes,
        )
        self._plan = decided
        if found.devices:
            log.info("%s: %s", self._model.name, _in_words(decided.placement, found.devices))
        return decided.placement

    def compare(self, uses: Sequence[DeviceUse]) -> None:
        """Learn from what the load took."""
        if self._plan is None or not uses:
            return
        expected = {name: bytes_.total for name, bytes_ in self._plan.devices.items()}
        log.debug("expected %s, took %s", expected, {use.name: use.used_bytes for use in uses})
        self._corrections[self._model.path] = self._correction.learn(self._plan, uses)

    @property
    def _correction(self) -> Correction:
        return self._corrections.get(self._model.path, Correction())


def _needs(model: Model, load: Load) -> Needs:
    """What the model takes with the grants that its slots begin with."""
    trained = max(model.context_length, 1)
    slots = load.slots or default_slots(trained)
    initial, growth = min(load.initial_tokens, trained), load.grow_tokens
    if load.store is StoreKind.EAGER:
        slots, initial, growth = load.slots or 1, min(load.eager_tokens or trained, trained), 0
    if "embedding" in model.capabilities:  # it keeps no cache
        slots, initial, growth = 1, 0, 0
    return estimate(
        model,
        cells=slots * initial,
        growth_cells=growth,
        slots=slots,
        batch_tokens=load.batch_tokens,
        cache_type=load.cache_type,
    )


def _in_words(placement: Placement, devices: Sequence[DeviceMemory]) -> str:
    if not placement.shares:
        return f"no layer on any of {len(devices)} devices"
    shares = ", ".join(f"{share.layers} on {share.device}" for share in placement.shares)
    return f"layers: {shares}; cache: {placement.kv.value}"
