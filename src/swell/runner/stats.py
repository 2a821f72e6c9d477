"""What the runner knows about its memory and slots. Read from any thread, without a lock and without the engine."""

from swell.kv.choose import Chosen
from swell.kv.policy import initial_grant
from swell.llama.model import Model
from swell.memory.resident import process_resident_bytes
from swell.protocol.messages import SlotState, SlotStats, Stats
from swell.runner.engine import Engine


def read_stats(request_id: int, model: Model, chosen: Chosen, engine: Engine) -> Stats:
    """Numbers of this moment. A slot that changes meanwhile is counted before or after, never in between."""
    store = chosen.store
    kv = store.measure()
    slots = [
        SlotStats(state=slot.state, used=slot.stored, granted=slot.cells.granted, resident_bytes=resident)
        for slot, resident in zip(engine.slots, kv.slots_resident, strict=True)
    ]
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
        weights_bytes=model.weights_bytes,
        resident_bytes=process_resident_bytes(),
        store=store.kind,
        store_reason=chosen.reason,
        totals=engine.totals,
        slots_detail=slots,
    )
