"""Memory that one runner needs and others give back, and the cells that a runner hands to the next one."""

from enum import Enum

import msgspec

from swell.cache import StoreKind
from swell.metrics.events import ShrinkCause


class ShrinkLevel(Enum):
    """How much a runner gives back that no running generation needs; each level includes those before it."""

    UNSTORED = "unstored"  # what is granted beyond stored tokens
    PREFIXES = "prefixes"  # the cached prefixes of idle slots
    WAITING = "waiting"  # the cells of generations that wait for memory; they are computed again when there is some


class Shrink(msgspec.Struct, frozen=True, tag=True):
    """Give memory back, between two batches. Answered by Shrunk."""

    id: int
    level: ShrinkLevel


class Shrunk(msgspec.Struct, frozen=True, tag=True):
    """The runner has done what Shrink `id` told it."""

    id: int


class NeedMemory(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Generation `id` can't go on without `missing_bytes` of other models' memory, and waits for MemoryOffered.

    It is memory of `device`, or, where that is "", of the host, or the budget.
    """

    id: int
    missing_bytes: int
    device: str = ""


class MemoryOffered(msgspec.Struct, frozen=True, tag=True):
    """The answer to NeedMemory: others have given back what they could. Generation `id` is to try again."""

    id: int


class GrantChanged(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The grant of `slot` was raised or lowered; the whole cache's is `granted_bytes` now. `generation` is the id of
    that in the slot, 0 if there is none. `cause` says why it was lowered, if it was. Nothing was computed for
    `stall_ns`.
    """

    generation: int
    slot: int
    from_tokens: int
    to_tokens: int
    granted_bytes: int
    cause: ShrinkCause
    store: StoreKind
    stall_ns: int


class SaveSlots(msgspec.Struct, frozen=True, tag=True):
    """Write the cells of all slots to the file at `path`, for the next runner. Answered by SlotsSaved."""

    id: int
    path: str


class KeepPrefixes(msgspec.Struct, frozen=True, tag=True):
    """Save all conversations to the prefix cache, since the runner is about to end. Answered by SlotsSaved."""

    id: int


class SlotsSaved(msgspec.Struct, frozen=True, tag=True):
    """The cells of `tokens` tokens are in files; 0 if that failed."""

    id: int
    tokens: int
