"""The message that has a runner load a model. This is the only place where a `Load` is made."""

from swell.cache import CacheType
from swell.kv.policy import default_slots
from swell.models.model import Model
from swell.protocol.loading import BATCH_TOKENS
from swell.protocol.messages import Load
from swell.scheduler.cells import context_max
from swell.scheduler.estimate import MemoryEstimate, estimate
from swell.scheduler.first_grant import FirstGrant
from swell.scheduler.handover import Handover
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.load_plan import LoadPlan
from swell.scheduler.placement import needs
from swell.scheduler.placement.needs import Needs
from swell.scheduler.runner_key import RunnerRole
from swell.settings import Settings


def load_message(plan: LoadPlan, settings: Settings, handover: Handover | None = None) -> Load:
    """What to tell the runner. With `handover` it begins with the cells that another one has left there."""
    options, books = plan.options, plan.books
    return Load(
        path=str(plan.model.path),
        adapters=[str(adapter.path) for adapter in plan.model.manifest.adapters],
        log_level=settings.log_level,
        maps_weights=options.maps_weights is not False,
        books_weights=plan.key.role is RunnerRole.SHARED,
        slots=settings.num_parallel,
        eager_tokens=settings.context_length,
        store=settings.store_kind,
        cache_type=options.cache_type or CacheType.F16,
        flash_attention=settings.flash_attention,
        initial_tokens=plan.first_grant.wanted_tokens,
        grow_tokens=settings.kv_grow_tokens,
        checkpoints=settings.checkpoints,
        prefix_cache=str(settings.prefix_cache or ""),
        prefix_cache_bytes=settings.prefix_cache_bytes,
        model=plan.model.stamp,
        idle_shrink_s=settings.kv_idle_shrink_s,
        memory_wait_s=settings.kv_wait_s,
        ledger_fd=books.ledger_fd,
        ledger_entry=books.entry,
        devices_fd=books.devices_fd,
        demands_fd=books.demands_fd,
        budget_bytes=books.budget_bytes,
        headroom_bytes=books.headroom_bytes,
        handover=str(handover.path) if handover else "",
        workers=list(settings.workers),
        device_headroom_bytes=settings.gpu_overhead_bytes,
    )


def estimated_memory(model: Model, options: LoadOptions, settings: Settings, grant: FirstGrant) -> MemoryEstimate:
    """What a runner that is loaded so and begins with `grant` will take, by the header alone."""
    return estimate(
        model,
        slots=settings.num_parallel or default_slots(context_max(model)),
        batch_tokens=BATCH_TOKENS,
        initial_tokens=_first_tokens(model, settings, grant),
        cache_type=options.cache_type or CacheType.F16,
    )


def estimated_needs(model: Model, options: LoadOptions, settings: Settings, grant: FirstGrant) -> Needs:
    """The same layer by layer, for all slots."""
    slots = 1 if model.weights.embeds else settings.num_parallel or default_slots(context_max(model))
    return needs.estimate(
        model,
        cells=0 if model.weights.embeds else slots * _first_tokens(model, settings, grant),
        growth_cells=0 if model.weights.embeds or not settings.kv_dynamic else settings.kv_grow_tokens,
        slots=slots,
        batch_tokens=BATCH_TOKENS,
        cache_type=options.cache_type or CacheType.F16,
    )


def _first_tokens(model: Model, settings: Settings, grant: FirstGrant) -> int:
    """What a slot begins with."""
    tokens = grant.counted_tokens if settings.kv_dynamic else settings.context_length or model.context_length
    return min(tokens, context_max(model))
