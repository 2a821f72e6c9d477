"""From settings, a request's options and the devices that were found to a placement; and what comes of it."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from swell.cache import StoreKind
from swell.devices import ContextCells, DeviceMemory, DeviceUse, Fill, Placement
from swell.errors import ContextError, DevicesFullError, ModelLoadError, SwellError
from swell.kv.policy import default_slots
from swell.models.model import Model
from swell.protocol.messages import DevicesFound, Load
from swell.scheduler.cells import cell_bytes, context_max
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.placement.correction import Correction
from swell.scheduler.placement.needs import Needs, estimate, for_window
from swell.scheduler.placement.planner import ALL_LAYERS, PlacementOptions, PlacementPlan, plan
from swell.settings import Settings

log = logging.getLogger(__name__)


RETREATS_MAX = 3
"""How often a load that its devices refused is tried again, each time expecting twice as much."""
_WINDOW_PRICE = 8
"""A context of the whole window may take so much more on devices as this part of the cells of one window."""
DEVICES_UNKNOWN = 64
"""More than there are: until a load has found them, what is asked for devices counts."""


class Placer:
    """Knows the settings, the devices of the last load, and for each model how far its estimates were off."""

    def __init__(self, settings: Settings) -> None:
        self.fill = Fill.SPREAD if settings.sched_spread else Fill.PACKED
        self.headroom_bytes = settings.gpu_overhead_bytes
        self.devices = DEVICES_UNKNOWN
        self.corrections: dict[str, Correction] = {}

    def foresee(
        self, model: Model, needs: Needs, options: LoadOptions, devices: Sequence[DeviceMemory]
    ) -> PlacementPlan:
        """Where a load will put the layers if it finds these `devices`.

        Raises InvalidRequestError for what can't be met.
        """
        correction = self.corrections.get(model.key, Correction())
        return plan(correction.apply(needs), devices, self.options(options), self.headroom_bytes)

    def options(self, options: LoadOptions) -> PlacementOptions:
        """What a load's `options` ask for, and otherwise the settings."""
        return PlacementOptions(
            layers=ALL_LAYERS if options.device_layers is None else options.device_layers,
            main_device=options.main_device,
            fill=options.fill or self.fill,
        )

    def place(
        self, model: Model, load: Load, options: LoadOptions, held_by_idle: Callable[[], Mapping[str, int]]
    ) -> "Placing":
        """Begin to place `model` for one load. `held_by_idle`: bytes on each device that unloading would free."""
        return Placing(self, model, load, options, held_by_idle)


class Placing:
    """One load's placement: decided when the devices are known, compared with what was taken in the end."""

    def __init__(
        self,
        placer: Placer,
        model: Model,
        load: Load,
        options: LoadOptions,
        held_by_idle: Callable[[], Mapping[str, int]],
    ) -> None:
        self._placer = placer
        self._held_by_idle = held_by_idle
        self._retreats_left = RETREATS_MAX
        self._model = model
        self._load = load
        self._options = placer.options(options)
        self._plan: PlacementPlan | None = None
        self._names: list[str] = []

    def decide(self, found: DevicesFound) -> Placement:
        """Where the layers go on what was found. May be asked again, for another try.

        Raises InvalidRequestError for what can't be met, DevicesFullError if idle models should make way first.
        """
        for missing in found.missing:
            log.warning("going on without the worker %s: %s", missing.worker, missing.reason)
        self._placer.devices = len(found.devices) + len(found.missing)
        self._names = [device.name for device in found.devices]
        self._plan = self._plan_on(found.devices)
        self._check_idle(self._plan, found.devices)
        if found.devices:
            log.info("%s: %s", self._model.name, _in_words(self._plan.placement, found.devices))
        return self._plan.placement

    def retreats(self, error: SwellError) -> bool:
        """Whether it is worth to try again after `error`, with less on devices, or on what others left there."""
        is_placed = self._plan is not None and self._plan.placement.shares and self._options.layers == ALL_LAYERS
        if not is_placed or not self._retreats_left or not isinstance(error, ModelLoadError | ContextError):
            return False
        self._retreats_left -= 1
        log.warning("%s; planning with less room on devices", error)
        self._placer.corrections[self._model.key] = self._correction.distrust()
        return True

    def _plan_on(self, devices: Sequence[DeviceMemory]) -> PlacementPlan:
        """For a context of the whole window, unless that costs layers on devices, or much besides."""
        needs = _needs(self._model, self._load)
        granted = self._plan_for(needs, devices)
        if not granted.placement.shares:
            return granted
        if self._load.store not in (StoreKind.COPIED, StoreKind.EAGER):
            cells = context_max(self._model)
            slots = self._load.slots or default_slots(cells)
            whole = for_window(needs, cells * slots, self._load.batch_tokens)
            found = self._plan_for(whole, devices)
            taken = sum(each.compute for each in found.devices.values())
            more_bytes = taken - sum(each.compute for each in granted.devices.values())
            is_cheap = more_bytes <= cells * cell_bytes(self._model, self._load.cache_type) // _WINDOW_PRICE
            if is_cheap and found.placement.device_layers == granted.placement.device_layers:
                return found
        placement = msgspec.structs.replace(granted.placement, cells=ContextCells.GRANTED)
        return dataclasses.replace(granted, placement=placement)

    def _plan_for(self, needs: Needs, devices: Sequence[DeviceMemory]) -> PlacementPlan:
        return plan(self._correction.apply(needs), devices, self._options, self._load.device_headroom_bytes)

    def _check_idle(self, decided: PlacementPlan, devices: Sequence[DeviceMemory]) -> None:
        """Raise DevicesFullError if more layers had room without idle models."""
        held = self._held_by_idle()
        if not held or self._options.layers != ALL_LAYERS:
            return
        emptied = [
            msgspec.structs.replace(device, free_bytes=device.free_bytes + held.get(device.name, 0))
            for device in devices
        ]
        if self._plan_on(emptied).placement.device_layers > decided.placement.device_layers:
            raise DevicesFullError(f"there is no room on devices for all layers of {self._model.name}")

    def compare(self, uses: Sequence[DeviceUse]) -> LoadOptions:
        """Learn from what the load took; returns how the model is placed."""
        if self._plan is None:
            return LoadOptions()
        if uses:
            expected = {name: bytes_.total for name, bytes_ in self._plan.devices.items()}
            log.debug("expected %s, took %s", expected, {use.name: use.used_bytes for use in uses})
            self._placer.corrections[self._model.key] = self._correction.learn(self._plan, uses)
        shares = self._plan.placement.shares
        return LoadOptions(
            device_layers=self._plan.placement.device_layers,
            main_device=self._names.index(shares[0].device) if len(shares) == 1 else None,
            fill=self._options.fill,
        )

    @property
    def _correction(self) -> Correction:
        return self._placer.corrections.get(self._model.key, Correction())


def _needs(model: Model, load: Load) -> Needs:
    """What the model takes with the grants that its slots begin with."""
    trained = context_max(model)
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
