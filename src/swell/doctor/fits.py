"""Which window of a model fits. Pure functions of its header and of numbers."""

import dataclasses
from collections.abc import Callable, Sequence

from swell.cache import CacheType
from swell.devices import HOST_ONLY, DeviceMemory, Fill
from swell.kv.policy import default_slots
from swell.models.model import Model
from swell.protocol.loading import BATCH_TOKENS
from swell.scheduler.cells import cell_bytes, context_max
from swell.scheduler.first_grant import first_grant
from swell.scheduler.load_message import estimated_memory
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.placement.needs import estimate
from swell.scheduler.placement.planner import Bytes, PlacementOptions, PlacementPlan, plan
from swell.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes that a model may take: in host memory, of which caches anywhere may be promised `budget_bytes` (None: no
    limit), and on devices, each of which keeps `device_headroom_bytes`.
    """

    host_bytes: int
    budget_bytes: int | None
    devices: Sequence[DeviceMemory] = ()
    device_headroom_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Fitting:
    """The longest window that fits, 0 if not even one token does, how many layers then are on devices, and whether any
    of the cache is.
    """

    window_tokens: int
    device_layers: int
    is_cache_on_devices: bool


def longest_window(model: Model, cache_type: CacheType, room: Room, settings: Settings) -> Fitting:
    """The longest conversation of `model`, alone in `room`, that can be kept whole, up to its whole window.

    As far as the header tells: layers with sliding windows and recurrent ones take less than is counted here.
    """
    taken = estimated_memory(model, LoadOptions(cache_type=cache_type), settings, first_grant(model, settings))
    per_token = 0 if model.weights.embeds else cell_bytes(model, cache_type)

    def fits(tokens: int) -> bool:
        cache = tokens * per_token
        if room.budget_bytes is not None and cache > room.budget_bytes:
            return False
        placed = placement(tokens)
        weights = max(0, taken.weights_bytes - sum(each.weights for each in placed.devices.values()))
        host_cache = max(0, cache - sum(each.kv for each in placed.devices.values()))
        return weights + taken.other_bytes + host_cache <= room.host_bytes

    def placement(tokens: int) -> PlacementPlan:
        return _placed(model, tokens, cache_type, room, settings)

    tokens = most(fits, settings.context_ceiling(context_max(model)))
    found = placement(max(tokens, 1)).placement
    return Fitting(tokens, found.device_layers, bool(found.kv_shares(model.layers)))


def _placed(model: Model, tokens: int, cache_type: CacheType, room: Room, settings: Settings) -> PlacementPlan:
    if not room.devices:
        return _NOTHING_PLACED
    needs = estimate(
        model,
        cells=tokens,
        growth_cells=0,
        slots=settings.num_parallel or default_slots(context_max(model)),
        batch_tokens=BATCH_TOKENS,
        cache_type=cache_type,
    )
    options = PlacementOptions(fill=Fill.SPREAD if settings.sched_spread else Fill.PACKED)
    return plan(needs, room.devices, options, room.device_headroom_bytes)


_NOTHING_PLACED = PlacementPlan(placement=HOST_ONLY, devices={}, host=Bytes(weights=0, kv=0, compute=0))


def most(fits: Callable[[int], bool], limit: int) -> int:
    """The largest number up to `limit` that fits, 0 if 1 doesn't. What is less than one that fits must fit, too."""
    low, high = 0, max(limit, 0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
