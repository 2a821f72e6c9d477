"""The numbers of loaded models at one moment, as live views and metrics show them. Pure."""

from collections.abc import Sequence

import msgspec

from swell.protocol.messages import SlotState, Stats
from swell.scheduler.first_grant import learned
from swell.scheduler.scheduler import LoadedModel
from swell.scheduler.schedules import ReplicaNumbers
from swell.settings import Settings
from swell.sizes.learning import SizeSummary, summary
from swell.turns.generation import window_tokens


class SlotNumbers(msgspec.Struct, frozen=True):
    """One slot: what it does, and how many tokens it stores and is granted memory for."""

    state: SlotState
    used_tokens: int
    granted_tokens: int
    resident_bytes: int


class ModelNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model. Windows are those of its largest slot; `ceiling_tokens` is what the latest request may fill.

    `resident_bytes` is host memory: the weights that are in it, the cache and the rest. What is on devices comes on
    top. Counts of tokens, growths and shrinks are those of its runner since it was loaded. `initial_tokens` are what
    each slot was granted then, `learned_tokens` what it will be the next time, if that was learned; `sizes` are those
    of its latest turns. In a fleet it is that of a `replica` on a `node`; `model` is what it is called in views, where
    no two are equal, and `name` is the model's.
    """

    model: str
    used_tokens: int
    granted_tokens: int
    ceiling_tokens: int
    initial_tokens: int
    learned_tokens: int | None = None
    resident_bytes: int
    weights_bytes: int
    kv_bytes: int
    kv_granted_bytes: int
    other_bytes: int
    device_bytes: int
    slots: int
    slots_busy: int
    threads: int
    threads_allowed: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    computed_tokens: int
    growths: int
    shrinks: int
    read_per_s: float = 0.0
    generated_per_s: float = 0.0
    sizes: SizeSummary | None = None
    slots_detail: tuple[SlotNumbers, ...] = ()
    name: str = ""
    replica: str = ""
    node: str = ""


class Sample(msgspec.Struct, frozen=True):
    """All loaded models at `at_s`, seconds since 1970; how many requests wait for a model, and how many turns go on."""

    at_s: float
    queued: int = 0
    active: int = 0
    models: tuple[ModelNumbers, ...] = ()
    replicas: tuple[ReplicaNumbers, ...] = ()

    def is_like(self, other: "Sample") -> bool:
        """Whether nothing has changed but the time."""
        return msgspec.structs.replace(self, at_s=other.at_s) == other


class Point(msgspec.Struct, frozen=True, array_like=True):
    """A model in a timeline."""

    model: str
    used_tokens: int
    granted_tokens: int
    ceiling_tokens: int
    kv_bytes: int
    resident_bytes: int
    device_bytes: int
    slots_busy: int
    read_per_s: float
    generated_per_s: float


class Moment(msgspec.Struct, frozen=True):
    """A sample as a timeline keeps it."""

    at_s: float
    queued: int
    active: int
    models: tuple[Point, ...]

    @classmethod
    def of(cls, sample: Sample) -> "Moment":
        """What is kept of `sample`."""
        names = Point.__struct_fields__
        points = tuple(Point(*(getattr(model, name) for name in names)) for model in sample.models)
        return cls(sample.at_s, sample.queued, sample.active, points)


def title(loaded: LoadedModel) -> str:
    """What views call a loaded model: in a fleet it is loaded more than once."""
    return titled(loaded.model.name, loaded.place.replica if loaded.place else "")


def titled(model: str, replica: str) -> str:
    """The same by its name, and the replica in a fleet."""
    return f"{model} on {replica}" if replica else model


def model_numbers(loaded: LoadedModel, stats: Stats, settings: Settings, sizes: Sequence[int] = ()) -> ModelNumbers:
    """What `stats` say of a loaded model whose latest turns had these `sizes`, without rates."""
    devices, totals, place = stats.devices, stats.totals, loaded.place
    return ModelNumbers(
        model=title(loaded),
        used_tokens=stats.context_used,
        granted_tokens=stats.context_allocated,
        ceiling_tokens=window_tokens(loaded.num_ctx, loaded.facts, settings),
        initial_tokens=stats.context_initial,
        learned_tokens=learned(loaded.model, settings, sizes),
        resident_bytes=stats.resident_bytes,
        weights_bytes=stats.weights_resident_bytes,
        kv_bytes=stats.kv_resident_bytes,
        kv_granted_bytes=stats.kv_granted_bytes,
        other_bytes=stats.other_bytes,
        device_bytes=sum(use.used_bytes for use in devices),
        slots=stats.slots,
        slots_busy=stats.slots_in_use,
        threads=stats.threads.now,
        threads_allowed=stats.threads.allowed,
        prompt_tokens=totals.prompt,
        cached_tokens=totals.cached,
        generated_tokens=totals.generated,
        computed_tokens=totals.computed,
        growths=totals.growths,
        shrinks=totals.shrinks,
        sizes=summary(sizes),
        name=loaded.model.name,
        replica=place.replica if place else "",
        node=place.node if place else "",
        slots_detail=tuple(
            SlotNumbers(slot.state, slot.used, slot.granted, slot.resident_bytes) for slot in stats.slots_detail
        ),
    )


def rated(now: ModelNumbers, before: ModelNumbers | None, elapsed_s: float) -> ModelNumbers:
    """`now`, with the tokens per second that were read and written since `before`, if that was the same runner's."""
    if before is None or elapsed_s <= 0:
        return now
    computed = now.computed_tokens - before.computed_tokens
    generated = now.generated_tokens - before.generated_tokens
    if computed < 0 or generated < 0:  # it was loaded anew
        return now
    read = max(computed - generated, 0)
    return msgspec.structs.replace(
        now, read_per_s=round(read / elapsed_s, 1), generated_per_s=round(generated / elapsed_s, 1)
    )
