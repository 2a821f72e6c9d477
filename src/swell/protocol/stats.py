"""What a runner says about itself: its memory, its slots, and that it is alive."""

from enum import Enum

import msgspec

from swell.cache import StoreKind
from swell.devices import DeviceUse


class CacheCount(Enum):
    """How the cache's memory is counted: page by page, as the kernel has it, which takes a millisecond per GB and stops
    Python for some of it; or as the books have it, in which each cell that was written counts.
    """

    PAGES = "pages"
    BOOKS = "books"


class GetStats(msgspec.Struct, frozen=True, tag=True):
    """Count memory and slots. Answered by Stats."""

    id: int
    count: CacheCount = CacheCount.PAGES


class SlotState(Enum):
    """What a slot is doing: nothing, reading a prompt, generating, or waiting for memory."""

    IDLE = "idle"
    PREFILL = "prefill"
    GENERATE = "generate"
    WAIT = "wait"


class SlotStats(msgspec.Struct, frozen=True, kw_only=True):
    """One slot: how many tokens are stored, how many it is granted memory for, and how many bytes are really backed.

    Of its latest request: the tokens of the prompt, how many at its beginning some slot had read before, and how many
    of them needn't be read again.
    """

    state: SlotState
    used: int
    granted: int
    resident_bytes: int
    prompt_tokens: int = 0
    shared_tokens: int = 0
    cached_tokens: int = 0


class ThreadStats(msgspec.Struct, frozen=True, kw_only=True):
    """Threads that computed the latest step, how many may compute, and how long they have waited for a processor."""

    now: int
    allowed: int
    waited_ns: int


class Totals(msgspec.Struct, kw_only=True):
    """Counted since the model was loaded."""

    prompt: int = 0  # tokens of prompts
    cached: int = 0  # those of them that were in a slot's cached prefix
    generated: int = 0  # tokens
    cut: int = 0  # tokens left out of prompts, or forgotten because a window was full
    computed: int = 0  # tokens, of prompts and generated ones
    batches: int = 0
    reclaims: int = 0  # cached conversations that were given up because memory was short
    growths: int = 0  # how often a slot's grant was raised
    shrinks: int = 0  # how often one was lowered
    stall_ns: int = 0  # how long nothing was computed because grants were raised and lowered
    pauses: int = 0  # how often a generation had to wait because memory was short


class Stats(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Memory and slots at this moment, in the words of the glossary in docs/architecture.md.

    `resident_bytes` is the whole process as the kernel counts it. It is made of the weights that are in memory (of
    `weights_bytes` that the tensors have in all), the cache, and `other_bytes`: computing, bookkeeping, the program.
    What is in `devices` comes on top of that; the `kv` numbers count the cache wherever it is. `kv_reclaimable_bytes`
    would be given back if another model needed them: what is granted and not used, and what idle slots have cached.
    `kv_checkpoint_bytes` are those of checkpoints, a part of what is granted.
    `faults` are contradictions that a recount of the cache's books has found; there should be none.
    """

    id: int
    context_max: int
    context_used: int
    context_active: int
    context_allocated: int
    context_initial: int
    slots: int
    slots_in_use: int
    kv_granted_bytes: int
    kv_resident_bytes: int
    kv_reserved_bytes: int
    kv_reclaimable_bytes: int
    kv_checkpoint_bytes: int = 0
    weights_bytes: int
    weights_resident_bytes: int
    other_bytes: int
    resident_bytes: int
    store: StoreKind | None
    store_reason: str
    threads: ThreadStats
    totals: Totals
    slots_detail: list[SlotStats]
    devices: list[DeviceUse] = []
    faults: list[str] = []


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Say that the process is alive. Answered by Pong at any time, also while the model is being loaded."""

    id: int


class Pong(msgspec.Struct, frozen=True, tag=True):
    """The answer to Ping. `batches` were computed so far; None while nothing is being computed."""

    id: int
    batches: int | None
