"""Which store holds a model's cache, and why."""

import dataclasses
import logging

from swell.cache import StoreKind
from swell.errors import ContextError, KvLayoutError
from swell.kv.admission import Admission
from swell.kv.base import KvStore
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A store, and the reason for it in words for people."""

    store: KvStore
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """What to open. `kind` None is the best that works; `reserved_refusal` is what the self-check said."""

    kind: StoreKind | None
    elastic: ContextShape
    eager: ContextShape
    policy: GrowthPolicy
    reserved_refusal: str | None


def open_store(model: LlamaModel, options: StoreOptions, admission: Admission) -> Chosen:
    """Reserved where nothing speaks against it, else Copied; Eager if it is asked for.

    Raises ContextError when there is no memory even for the least.
    """
    if options.kind is StoreKind.EAGER:
        return Chosen(
            EagerStore(model, options.eager, admission), "the cache is not to be elastic (OLLAMA_KV_CACHE_DYNAMIC=0)"
        )
    if options.kind is StoreKind.COPIED:
        return Chosen(
            CopiedStore(model, options.elastic, options.policy, admission), "it was asked for (SWELL_KV_STORE)"
        )
    if model.placement.kv_shares(model.layers):
        return Chosen(
            CopiedStore(model, options.elastic, options.policy, admission),
            "the cache is on devices: they reserve nothing",
        )
    refusal = options.reserved_refusal
    if refusal is None:
        try:
            store = ReservedStore(model, options.elastic, options.policy, admission)
            return Chosen(store, "address space is reserved, memory follows the cells")
        except (ContextError, KvLayoutError) as error:
            refusal = str(error)
    log.warning("address space can't be reserved for the KV cache, it is copied when it grows: %s", refusal)
    return Chosen(CopiedStore(model, options.elastic, options.policy, admission), refusal)
