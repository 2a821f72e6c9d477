"""The order a runner is started with. This is the only place where a `Load` is made."""

import dataclasses

from swell.cache import CacheType
from swell.kv.policy import default_slots
from swell.models.model import Model
from swell.protocol.messages import Load
from swell.scheduler.estimate import MemoryEstimate, estimate
from swell.scheduler.handover import Handover
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.ward import Ward
from swell.settings import Settings

BATCH_TOKENS = 256
"""As fast as 512 on a CPU (192 and 180 tok/s read), at half the compute memory. There are never more slots, so none has
to wait for its token."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LedgerAccess:
    """A runner's part in the books of all: descriptors it inherits, its entry in both, and the limits for everyone."""

    ledger_fd: int
    demands_fd: int
    entry: int
    budget_bytes: int | None
    headroom_bytes: int


def complete_load_options(wish: LoadOptions, settings: Settings) -> LoadOptions:
    """How to load what is asked for as `wish`; what is left open depends on the devices that are found."""
    chosen = LoadOptions(
        maps_weights=True,
        cache_type=settings.kv_cache_type or CacheType.F16,
    )
    return wish.completed(chosen)


def load_order(
    model: Model,
    ward: Ward,
    fit: LoadOptions,
    settings: Settings,
    share: LedgerAccess,
    handover: Handover | None = None,
) -> Load:
    """What to tell the runner of `model` in `ward`; `fit` is complete."""
    return Load(
        path=str(model.path),
        log_level=settings.log_level,
        batch_tokens=BATCH_TOKENS,
        maps_weights=fit.maps_weights is not False,
        books_weights=ward is Ward.COMMON,
        slots=settings.num_parallel,
        eager_tokens=settings.context_length,
        store=settings.store_kind,
        cache_type=fit.cache_type or CacheType.F16,
        flash_attention=settings.flash_attention,
        initial_tokens=settings.kv_initial_tokens,
        grow_tokens=settings.kv_grow_tokens,
        idle_shrink_s=settings.kv_idle_shrink_s,
        memory_wait_s=settings.kv_wait_s,
        ledger_fd=share.ledger_fd,
        ledger_entry=share.entry,
        demands_fd=share.demands_fd,
        budget_bytes=share.budget_bytes,
        headroom_bytes=share.headroom_bytes,
        handover=str(handover.path) if handover else "",
        workers=list(settings.workers),
        device_headroom_bytes=settings.gpu_overhead_bytes,
    )


def footprint(model: Model, fit: LoadOptions, settings: Settings) -> MemoryEstimate:
    """What a runner started with such an order will take, by the header alone."""
    slots = settings.num_parallel or default_slots(model.context_max)
    is_elastic = settings.kv_dynamic
    return estimate(
        model,
        slots=slots,
        batch_tokens=BATCH_TOKENS,
        initial_tokens=settings.kv_initial_tokens if is_elastic else settings.context_length or model.context_length,
        cache_type=fit.cache_type or CacheType.F16,
    )
