"""What the runner knows about its memory and slots. Read from any thread, without a lock and without waiting for the
engine.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from swell.devices import DeviceUse
from swell.kv.choose import Chosen
from swell.kv.policy import initial_grant
from swell.llama.model import LlamaModel
from swell.memory.resident import process_resident
from swell.processors.governor import ThreadUse
from swell.protocol.messages import CacheCount, SlotState, SlotStats, Stats, ThreadStats
from swell.runner.engine import Engine


class ProcessMemory(NamedTuple):
    """Bytes of this process's memory: all, and of these the weights, and what is neither weights nor cache."""

    resident_bytes: int
    weights_bytes: int
    other_bytes: int


def process_memory(model: LlamaModel, kv_bytes: int, devices: Sequence[DeviceUse] = ()) -> ProcessMemory:
    """What the kernel counts for this process, if `kv_bytes` of it are the cache in host memory.

    What it counts of `devices` is left out: some have no memory but this process's.
    Weights are in memory as far as they have been used. The kernel counts mapped pages only per process, so that some
    10 MB of libraries pass for weights until all of those have been used.
    """
    used = {use.name: use.used_bytes for use in devices}
    resident = process_resident()
    total_bytes = max(0, resident.total_bytes - model.in_process_bytes(used))
    mapped_bytes = min(model.mapped_bytes, resident.mapped_bytes)
    weights_bytes = max(0, min(model.copied_bytes + mapped_bytes, total_bytes - kv_bytes))
    other_bytes = max(0, total_bytes - weights_bytes - kv_bytes)
    return ProcessMemory(total_bytes, weights_bytes, other_bytes)


def read_stats(
    request_id: int,
    model: LlamaModel,
    chosen: Chosen,
    engine: Engine,
    use: ThreadUse,
    count: CacheCount = CacheCount.PAGES,
) -> Stats:
    """The numbers of this moment. A slot that changes meanwhile is counted as it was before or as it is after."""
    store = chosen.store
    kv = store.measure() if count is CacheCount.PAGES else store.estimate()
    slots = [
        SlotStats(
            state=slot.state,
            used=slot.stored,
            granted=slot.cells.granted,
            resident_bytes=resident,
            **slot.reuse._asdict(),
        )
        for slot, resident in zip(engine.slots, kv.slots_resident, strict=True)
    ]
    devices = device_uses(model, store.context.device_bytes, kv.devices)
    parts = process_memory(model, kv.resident - sum(use.kv_bytes for use in devices), devices)
    busy = [slot for slot in slots if slot.state is not SlotState.IDLE]
    return Stats(
        id=request_id,
        context_max=store.policy.max_cells,
        context_used=max(slot.used for slot in slots),
        context_active=max((slot.used for slot in busy), default=0),
        context_allocated=max(slot.granted for slot in slots),
        context_initial=initial_grant(store.policy),
        slots=len(slots),
        slots_in_use=len(busy),
        kv_granted_bytes=kv.granted,
        kv_resident_bytes=kv.resident,
        kv_reserved_bytes=kv.reserved,
        kv_reclaimable_bytes=engine.reclaimable_bytes,
        kv_checkpoint_bytes=store.checkpoint_bytes,
        weights_bytes=model.weights_bytes,
        weights_resident_bytes=parts.weights_bytes,
        other_bytes=parts.other_bytes,
        resident_bytes=parts.resident_bytes,
        store=store.kind,
        store_reason=chosen.reason,
        threads=thread_stats(use),
        totals=engine.counters.totals(),
        slots_detail=slots,
        devices=devices,
        faults=store.check_integrity(),
    )


def thread_stats(use: ThreadUse) -> ThreadStats:
    """`use` as a message."""
    return ThreadStats(now=use.now, allowed=use.allowed, waited_ns=round(use.waited_s * 1e9))


def device_uses(model: LlamaModel, context_bytes: Mapping[str, int], kv_bytes: Mapping[str, int]) -> list[DeviceUse]:
    """What the model takes on its devices, as their drivers counted it when its latest context was made.

    Drivers don't tell what is cache and what is for computing; the cache, `kv_bytes`, is the known part of it.
    """
    layers = {share.device: share.layers for share in model.placement.shares}
    uses = []
    for name, memory in model.devices_memory.items():
        kv = min(context_bytes[name], kv_bytes.get(name, 0))
        uses.append(
            DeviceUse(
                name=name,
                kind=memory.kind,
                layers=layers[name],
                weights_bytes=model.device_bytes[name],
                kv_bytes=kv,
                compute_bytes=context_bytes[name] - kv,
                free_bytes=memory.free_bytes,
                total_bytes=memory.total_bytes,
            )
        )
    return uses
