"""Which store holds a model's cache, and why."""

import dataclasses
import logging

from swell.cache import StoreKind
from swell.errors import ContextError, KvLayoutError
from swell.kv.admission import Admission
from swell.kv.base import KvStore
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.placed_store import PlacedStore, placed_refusal
from swell.kv.policy import GrowthPolicy
from swell.kv.preference import preferred_store
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
    """The store that `preferred_store` names; Copied if it turns out that this can't be had after all.

    Raises ContextError when there is no memory even for the least.
    """
    is_on_devices = bool(model.placement.kv_shares(model.layers))
    preferred = preferred_store(options.kind, is_on_devices=is_on_devices, reserved_refusal=options.reserved_refusal)
    reason = preferred.reason
    if preferred.kind is StoreKind.EAGER:
        return Chosen(EagerStore(model, options.eager, admission), reason)
    if preferred.kind is StoreKind.RESERVED:
        try:
            return Chosen(ReservedStore(model, options.elastic, options.policy, admission), reason)
        except (ContextError, KvLayoutError) as error:
            reason = str(error)
    if preferred.kind is StoreKind.PLACED:
        if (refusal := placed_refusal(model, options.elastic)) is None:
            try:
                return Chosen(PlacedStore(model, options.elastic, options.policy, admission), reason)
            except (ContextError, KvLayoutError) as error:
                refusal = str(error)
        reason = refusal
    if options.kind is not StoreKind.COPIED:
        log.warning("the KV cache is copied as a whole when it grows: %s", reason)
    return Chosen(CopiedStore(model, options.elastic, options.policy, admission), reason)
