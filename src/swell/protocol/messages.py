"""The messages, one struct each. `Request` goes to a runner, `Reply` comes back.

Every request but `Load` and `Cancel` carries an `id` chosen by the server; replies to it carry the same. Durations are
nanoseconds, as in the API.
"""

import math
from enum import Enum
from typing import Any

import msgspec

from swell.cache import CacheType, FlashAttention, StoreKind
from swell.devices import HOST_ONLY, DeviceMemory, DeviceUse, Placement
from swell.sampling import Sampling, ThinkingPreamble


class FinishReason(Enum):
    """Why a generation ended by itself."""

    STOP = "stop"  # the model said so
    LENGTH = "length"  # its limit or the end of its window


class SlotState(Enum):
    """What a slot is doing: nothing, reading a prompt, generating, or waiting for memory."""

    IDLE = "idle"
    PREFILL = "prefill"
    GENERATE = "generate"
    WAIT = "wait"


class ShrinkLevel(Enum):
    """How much a runner gives back that no running generation needs; each level includes those before it."""

    UNSTORED = "unstored"  # what goes beyond stored tokens; nobody misses it
    PREFIXES = "prefixes"  # the cached prefixes of idle slots
    WAITING = "waiting"  # the cells of generations that wait for memory themselves: computed again when there is some


# --- to the runner ---------------------------------------------------------------------------------------------


class FindDevices(msgspec.Struct, frozen=True, tag=True):
    """First message to a runner: which devices are there, those of `workers` (`host:port`) included?

    Answered by DevicesFound, or by LoadFailed if the library knows no workers.
    """

    workers: list[str]


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What to load, and how; comes once, after DevicesFound. Zeros mean "choose"."""

    path: str
    log_level: int
    slots: int = 0
    eager_tokens: int = 0  # per slot, if the cache is not elastic; 0: the trained length
    store: StoreKind | None = None  # None: the best that works
    cache_type: CacheType = CacheType.F16
    flash_attention: FlashAttention = FlashAttention.AUTO
    initial_tokens: int = 2048
    grow_tokens: int = 1024
    idle_shrink_s: float = math.inf
    memory_wait_s: float = 0  # how long a generation may wait for memory from other models
    ledger_fd: int  # inherited; the books of all runners
    ledger_entry: int
    demands_fd: int  # inherited; who computes, in the entries of the ledger
    budget_bytes: int | None = None  # for all runners together
    headroom_bytes: int = 0
    maps_weights: bool = True
    books_weights: bool = True  # in the ledger, unless another runner has the same ones mapped
    handover: str = ""  # a file with the cells of the last runner of this model
    workers: list[str] = []  # as in FindDevices
    placement: Placement = HOST_ONLY
    device_headroom_bytes: int = 0  # on each device
    batch_tokens: int = 256  # as fast as 512 on a CPU (192 and 180 tok/s read), at half the compute memory


class Generate(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Carry `prompt` on for at most `limit_tokens` tokens in a window of `window_tokens`, prompt included.

    When the window is full: with `keep_tokens`, half of what follows the first so many is forgotten and it goes on;
    with None it ends. No more than `batch_tokens` of the prompt are computed together, and with `threads` if all in
    the batch want a number. `schema` is a JSON schema the output must follow, after a `preamble` if there is one. With
    `top_logprobs`, every token comes with how likely it was, and with so many alternatives. `visible` are control
    tokens whose text is wanted; others have none. `cut_tokens` were left out of the prompt already and are only
    counted. `emitted` are tokens that another runner generated before it was lost; they count, but they are not
    delivered again.
    """

    id: int
    prompt: list[int]
    window_tokens: int
    limit_tokens: int
    sampling: Sampling
    keep_tokens: int | None = None
    batch_tokens: int | None = None
    threads: int | None = None
    schema: str | None = None
    preamble: ThinkingPreamble | None = None
    top_logprobs: int | None = None
    visible: list[str] = []
    cut_tokens: int = 0
    emitted: list[int] = []


class Embed(msgspec.Struct, frozen=True, tag=True):
    """Turn each of `inputs`, the tokens of a text, into a vector. Answered by Embedded or Failed.

    `cut_tokens` were left out of the texts already and are only counted. `threads` compute them; None leaves that open.
    """

    id: int
    inputs: list[list[int]]
    cut_tokens: int = 0
    threads: int | None = None


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Stop request `id` within a batch. Answered by nothing: the server already forgot it."""

    id: int


class Tokenize(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """`add_special`: BOS and EOS where the vocabulary wants them; `parse_special`: "<|im_end|>" is one token.

    `limit_tokens`: of a text that has more, at least so many at both ends are enough, and more than that in all.
    """

    id: int
    text: str
    add_special: bool
    parse_special: bool
    limit_tokens: int | None = None


class GetStats(msgspec.Struct, frozen=True, tag=True):
    id: int


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Is anybody there? Answered by Pong at any time, also while the model is being loaded."""

    id: int


class Shrink(msgspec.Struct, frozen=True, tag=True):
    """Give memory back. Answered by Shrunk, between two batches."""

    id: int
    level: ShrinkLevel


class MemoryOffered(msgspec.Struct, frozen=True, tag=True):
    """The answer to NeedMemory of generation `id`: what others could give back, they have. Try again."""

    id: int


class SaveSlots(msgspec.Struct, frozen=True, tag=True):
    """Write the cells of all slots to the file at `path`, for the next runner. Answered by SlotsSaved."""

    id: int
    path: str


Request = (
    FindDevices | SaveSlots | Load | Generate | Embed | Cancel | Tokenize | GetStats | Ping | Shrink | MemoryOffered
)


# --- from the runner -------------------------------------------------------------------------------------------


class WorkerMissing(msgspec.Struct, frozen=True):
    """A worker that can't be reached, and why."""

    worker: str
    reason: str


class DevicesFound(msgspec.Struct, frozen=True, tag=True):
    """The devices that can take layers, those of workers first."""

    devices: list[DeviceMemory]
    missing: list[WorkerMissing]


WORKER_EXIT_CODES = range(80, 96)
"""A runner whose connection to a worker breaks exits with this; the place in the list says which one of FindDevices."""


class Loaded(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The runner is ready. `store_reason` says why this store was chosen. Special tokens are text, "" if absent.
    `middle_tokens` stand before a prefix, before a suffix and before what belongs between them; None if absent.

    `store` is None for a model that only embeds: nothing is kept between its requests.
    """

    context_max: int
    slots: int
    store: StoreKind | None
    store_reason: str
    add_bos: bool
    add_eos: bool
    bos_text: str
    eos_text: str
    middle_tokens: tuple[int, int, int] | None = None
    devices: list[DeviceUse] = []
    is_on_devices: bool = False  # all layers, the output and the cache


class LoadProgress(msgspec.Struct, frozen=True, tag=True):
    """The weights are being loaded, and it goes on."""


class LoadFailed(msgspec.Struct, frozen=True, tag=True):
    """The runner could not load; `kind` and `fields` as in `swell.errors.to_data`. It exits after this."""

    kind: str
    fields: dict[str, Any]


class Tokenized(msgspec.Struct, frozen=True, tag=True):
    id: int
    tokens: list[int]


class Embedded(msgspec.Struct, frozen=True, tag=True):
    """The vectors of request `id`, in the order of its inputs: float32, little endian, as the model gives them."""

    id: int
    vectors: list[bytes]


class Emitted(msgspec.Struct, frozen=True, array_like=True):
    """One generated token of generation `id`, with the bytes it stands for (control tokens: none)."""

    id: int
    token: int
    piece: bytes


class Prefilled(msgspec.Struct, frozen=True, array_like=True):
    """The prompt of generation `id` is read; sent with its first token. `prompt_tokens` counts cached ones too."""

    id: int
    prompt_tokens: int
    cached_tokens: int
    prompt_ns: int


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """Generation `id` ended by itself."""

    id: int
    reason: FinishReason
    generate_ns: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Request `id` failed; `kind` and `fields` as in `swell.errors.to_data`."""

    id: int
    kind: str
    fields: dict[str, Any]


class TokenAlternative(msgspec.Struct, frozen=True, array_like=True):
    """A token that might have been, and the natural logarithm of its probability."""

    logprob: float
    piece: bytes


class TokenLikelihood(msgspec.Struct, frozen=True, array_like=True):
    """How likely the token of `id` was that comes with this, and the likeliest ones."""

    id: int
    logprob: float
    top: list[TokenAlternative]


class StepOutput(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """What one decoding step gave, for all generations. Of one generation the order is that of the fields."""

    prefilled: list[Prefilled] = []
    emitted: list[Emitted] = []
    likelihoods: list[TokenLikelihood] = []
    finished: list[Finished] = []
    failed: list[Failed] = []


class SlotStats(msgspec.Struct, frozen=True, kw_only=True):
    """One slot: tokens stored, tokens granted memory, and bytes really backed."""

    state: SlotState
    used: int
    granted: int
    resident_bytes: int


class ThreadStats(msgspec.Struct, frozen=True, kw_only=True):
    """Threads of the latest step, threads there may be, and how long compute threads have waited for a processor."""

    now: int
    allowed: int
    waited_ns: int


class Totals(msgspec.Struct, kw_only=True):
    """Tokens since the model was loaded: of prompts, those of them that were cached, generated ones, and those left out
    of prompts or forgotten because a window was full. How many batches were computed, and how often memory was short:
    cached conversations that were given up for that, and generations that were paused."""

    prompt: int = 0
    cached: int = 0
    generated: int = 0
    cut: int = 0
    batches: int = 0
    reclaims: int = 0
    pauses: int = 0


class Stats(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Memory and slots at this moment, in the words of the glossary in docs/architecture.md.

    `resident_bytes` is the whole process as the kernel counts it. It is made of the weights that are in memory (of
    `weights_bytes` that the tensors have in all), the cache, and `other_bytes`: computing, bookkeeping, the program.
    What is in `devices` comes on top of that; the `kv` numbers count the cache wherever it is. `kv_reclaimable_bytes`
    would be given back if another model needed them: what is granted and not used, and what idle slots have cached.
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


class Pong(msgspec.Struct, frozen=True, tag=True):
    """Somebody is. `batches` were computed so far; None while nothing is being computed."""

    id: int
    batches: int | None


class NeedMemory(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Generation `id` can't go on without `missing_bytes` of other models' memory, and waits for MemoryOffered."""

    id: int
    missing_bytes: int


class Shrunk(msgspec.Struct, frozen=True, tag=True):
    """The runner did as Shrink `id` says."""

    id: int


class SlotsSaved(msgspec.Struct, frozen=True, tag=True):
    """The cells of so many tokens were written; none if that failed."""

    id: int
    tokens: int


Reply = (
    SlotsSaved
    | DevicesFound
    | Loaded
    | LoadProgress
    | LoadFailed
    | Tokenized
    | Embedded
    | StepOutput
    | Failed
    | Stats
    | Pong
    | NeedMemory
    | Shrunk
)
