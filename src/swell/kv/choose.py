"""Which store holds a model's cache, and why."""

import dataclasses
import logging

from swell.errors import ContextError, KvLayoutError
from swell.kv.eager import EagerStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.kv.store import KvStore
from swell.llama.context import ContextShape
from swell.llama.model import Model

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A store, and the reason for it in words for people."""

    store: KvStore
    reason: str


def open_store(
    model: Model,
    *,
    elastic: ContextShape,
    eager: ContextShape,
    policy: GrowthPolicy,
    dynamic: bool,
    reserved_refusal: str | None,
) -> Chosen:
    """The best store that works here: Reserved if `dynamic` and nothing speaks against it, else Eager.

    `reserved_refusal` is the self-check's answer. Raises ContextError when even Eager finds no memory.
    """
    if not dynamic:
        return Chosen(EagerStore(model, eager), "the cache is not dynamic (OLLAMA_KV_CACHE_DYNAMIC=0)")
    if reserved_refusal is None:
        try:
            return Chosen(ReservedStore(model, elastic, policy), "address space is reserved, memory follows the cells")
        except (ContextError, KvLayoutError) as error:
            reserved_refusal = str(error)
    log.warning("the KV cache can't be elastic, all of it is allocated now: %s", reserved_refusal)
    return Chosen(EagerStore(model, eager), reserved_refusal)
