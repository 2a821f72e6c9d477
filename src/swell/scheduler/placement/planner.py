"""The planner: which layers go to which device. Pure functions over numbers.

llama.cpp puts a model's *last* layers on devices, in consecutive runs; the output counts as one more layer after the
last. What doesn't fit stays in host memory, at the front.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from swell.devices import DeviceKind, DeviceMemory, Fill, KvPlace, LayersOn, Placement
from swell.errors import InvalidRequestError
from swell.scheduler.placement.needs import Needs

_SPEED = {DeviceKind.GPU: 0, DeviceKind.INTEGRATED_GPU: 1, DeviceKind.WORKER: 2}
_ORDER = {DeviceKind.WORKER: 0, DeviceKind.INTEGRATED_GPU: 1, DeviceKind.GPU: 2}
"""Along the model: workers first, so that what the output gives does not travel."""

_KV_HOST_GAIN = 2
"""With the cache in host memory every layer goes there and back (a third of the speed, measured over loopback). That
pays only if the devices then hold the whole model and otherwise held less than one in so many of its layers."""

ALL_LAYERS = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacementOptions:
    """What a request may ask for: layers on devices (ALL_LAYERS: all that fit), the only device to use, how to fill."""

    layers: int = ALL_LAYERS
    main_device: int | None = None
    fill: Fill = Fill.PACKED
    kv: KvPlace | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bytes:
    """What is expected to be taken in one place."""

    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.compute


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacementPlan:
    """A placement and what it is expected to take, by device and in host memory."""

    placement: Placement
    devices: dict[str, Bytes]
    host: Bytes


@dataclasses.dataclass(frozen=True)
class _Room:
    device: DeviceMemory
    room_bytes: int


def plan(
    needs: Needs, devices: Sequence[DeviceMemory], options: PlacementOptions, headroom_bytes: int
) -> PlacementPlan:
    """Where the model goes. `headroom_bytes` stay free on every device.

    Unless `options` say how many layers, no more is put on a device than fits. Raises InvalidRequestError for a device
    that isn't there.
    """
    rooms = [_Room(device, device.free_bytes - headroom_bytes) for device in _eligible(devices, options)]
    layers = len(needs.weights) if options.layers == ALL_LAYERS else min(options.layers, len(needs.weights))
    if layers <= 0 or not rooms:
        return _described(needs, (), KvPlace.DEVICE)
    if options.kv is not None:
        return _described(needs, _shares(needs, rooms, layers, options, options.kv), options.kv)
    beside = _shares(needs, rooms, layers, options, KvPlace.DEVICE)
    apart = _shares(needs, rooms, layers, options, KvPlace.HOST)
    pays = _count(apart) == layers and _count(beside) * _KV_HOST_GAIN < layers
    return _described(needs, apart, KvPlace.HOST) if pays else _described(needs, beside, KvPlace.DEVICE)


def _eligible(devices: Sequence[DeviceMemory], options: PlacementOptions) -> list[DeviceMemory]:
    """The devices that may be used, the best first. An integrated GPU counts only where there is no other GPU."""
    if options.main_device is not None and devices:
        if not 0 <= options.main_device < len(devices):
            names = ", ".join(device.name for device in devices)
            raise InvalidRequestError(f"main_gpu {options.main_device} is not there; the devices from 0 on are {names}")
        return [devices[options.main_device]]
    if any(device.kind is DeviceKind.GPU for device in devices):
        devices = [device for device in devices if device.kind is not DeviceKind.INTEGRATED_GPU]
    return sorted(devices, key=lambda device: (_SPEED[device.kind], -device.free_bytes))


def _shares(
    needs: Needs, rooms: Sequence[_Room], layers: int, options: PlacementOptions, kv: KvPlace
) -> tuple[LayersOn, ...]:
    sizes = _sizes(needs, kv)
    groups = [rooms[:count] for count in range(1, len(rooms) + 1)] if options.fill is Fill.PACKED else [rooms]
    beside = [_beside(group, needs.scratch_bytes(len(group))) for group in groups]
    if shares := _first(_fitted(sizes[-layers:], group, options.fill) for group in beside):
        return shares
    if options.layers != ALL_LAYERS:  # an order; whether it can be met, the devices will say
        return _named(beside[-1], _proportional(sizes[-layers:], beside[-1]))
    return _first(
        _fitted(sizes[-count:], group, options.fill) for count in range(layers - 1, 0, -1) for group in beside
    )


def _first(found: Iterable[tuple[LayersOn, ...]]) -> tuple[LayersOn, ...]:
    """The first that has layers on devices at all."""
    return next((shares for shares in found if shares), ())


def _beside(rooms: Sequence[_Room], scratch_bytes: int) -> list[_Room]:
    """What is left beside `scratch_bytes`, in the order in which the devices follow each other along the model."""
    ordered = sorted(rooms, key=lambda room: _ORDER[room.device.kind])
    return [_Room(room.device, room.room_bytes - scratch_bytes) for room in ordered]


def _sizes(needs: Needs, kv: KvPlace) -> list[int]:
    if kv is KvPlace.HOST:
        return list(needs.weights)
    return [
        weights + math.ceil(cache * (1 + needs.growth)) for weights, cache in zip(needs.weights, needs.kv, strict=True)
    ]


def _fitted(sizes: Sequence[int], rooms: Sequence[_Room], fill: Fill) -> tuple[LayersOn, ...]:
    """All of `sizes` on devices; nothing if there is no room for them."""
    if fill is Fill.SPREAD:
        counts = _proportional(sizes, rooms)
        if _fits(sizes, rooms, counts):
            return _named(rooms, counts)
    counts = _front_to_back(sizes, rooms)
    return _named(rooms, counts) if sum(counts) == len(sizes) else ()


def _front_to_back(sizes: Sequence[int], rooms: Sequence[_Room]) -> list[int]:
    """Fill each device as far as it goes. If any run-by-run division fits, this one does."""
    counts, start = [], 0
    for room in rooms:
        left, end = room.room_bytes, start
        while end < len(sizes) and sizes[end] <= left:
            left -= sizes[end]
            end += 1
        counts.append(end - start)
        start = end
    return counts


def _proportional(sizes: Sequence[int], rooms: Sequence[_Room]) -> list[int]:
    """Cut where the running total comes nearest to each device's part of all the room."""
    room = [max(1, each.room_bytes) for each in rooms]
    totals = [0, *itertools.accumulate(sizes)]
    cuts = [0]
    for part in itertools.accumulate(room):
        target = totals[-1] * part / sum(room)
        nearest = min(range(len(totals)), key=lambda cut: (abs(totals[cut] - target), cut))
        cuts.append(max(nearest, cuts[-1]))
    cuts[-1] = len(sizes)
    return [end - start for start, end in itertools.pairwise(cuts)]


def _fits(sizes: Sequence[int], rooms: Sequence[_Room], counts: Sequence[int]) -> bool:
    ends = list(itertools.accumulate(counts))
    return all(
        count == 0 or sum(sizes[end - count : end]) <= room.room_bytes
        for count, end, room in zip(counts, ends, rooms, strict=True)
    )


def _named(rooms: Sequence[_Room], counts: Sequence[int]) -> tuple[LayersOn, ...]:
    return tuple(LayersOn(room.device.name, count) for room, count in zip(rooms, counts, strict=True) if count)


def _count(shares: Sequence[LayersOn]) -> int:
    return sum(share.layers for share in shares)


def _described(needs: Needs, shares: tuple[LayersOn, ...], kv: KvPlace) -> PlacementPlan:
    if not shares:
        kv = KvPlace.DEVICE  # the word means nothing then
    start = len(needs.weights) - _count(shares)
    host_kv = sum(needs.kv[:start])
    devices, at, scratch = dict[str, Bytes](), start, needs.scratch_bytes(len(shares))
    for share in shares:
        end = at + share.layers
        cache = sum(needs.kv[at:end])
        if kv is KvPlace.HOST:
            host_kv, cache = host_kv + cache, 0
        devices[share.device] = Bytes(weights=sum(needs.weights[at:end]), kv=cache, compute=scratch)
        at = end
    host = Bytes(weights=sum(needs.weights[:start]), kv=host_kv, compute=needs.scratch_bytes(len(shares)))
    return PlacementPlan(placement=Placement(shares=shares, kv=kv), devices=devices, host=host)
