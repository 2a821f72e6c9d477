"""What the runner knows about its memory and slots. Read from any thread, without a lock and without the engine."""

from swell.kv.choose import Chosen
from swell.llama.model import Model
from swell.memory.resident import process_resident_bytes
from swell.protocol.messages import Stats
from swell.runner.engine import Engine


def read_stats(request_id: int, model: Model, chosen: Chosen, engine: Engine) -> Stats:
    """Numbers of this moment. A slot that changes meanwhile is counted before or after, never in between."""
    store = chosen.store
    stored = [(slot.stored, slot.generation is not None) for slot in engine.slots]
    kv = store.measure()
    return Stats(
        id=request_id,
        context_max=store.policy.max_cells,
        context_used=max(tokens for tokens, _ in stored),
        context_active=max((tokens for tokens, is_busy in stored if is_busy), default=0),
        context_allocated=max(store.granted_cells),
        context_initial=min(store.policy.initial_cells, store.policy.max_cells),
        slots=len(stored),
        slots_in_use=sum(is_busy for _, is_busy in stored),
        kv_granted_bytes=kv.granted,
        kv_resident_bytes=kv.resident,
        kv_reserved_bytes=kv.reserved,
        weights_bytes=model.weights_bytes,
        resident_bytes=process_resident_bytes(),
        store=store.kind,
        store_reason=chosen.reason,
    )
