"""Loading a model: which devices there are, what to load and how, and what the loaded model is like."""

import math

import msgspec

from swell.cache import INITIAL_TOKENS, CacheType, FlashAttention, StoreKind
from swell.devices import HOST_ONLY, DeviceMemory, DeviceUse, Placement


class FindDevices(msgspec.Struct, frozen=True, tag=True):
    """First message to a runner: say which devices there are, those of `workers` (`host:port`) included.

    Answered by DevicesFound, or by LoadFailed if the library knows no workers.
    """

    workers: list[str]


class WorkerMissing(msgspec.Struct, frozen=True):
    """A worker that can't be reached, and why."""

    worker: str
    reason: str


class DevicesFound(msgspec.Struct, frozen=True, tag=True):
    """The devices that can take layers, those of workers first."""

    devices: list[DeviceMemory]
    missing: list[WorkerMissing]


WORKER_EXIT_CODES = range(80, 96)
"""A runner that loses the connection to worker number n of FindDevices, from 0, exits with the n-th of these codes."""


BATCH_TOKENS = 256
"""As fast as 512 on a CPU (192 and 180 tok/s read), at half the compute memory. There are never more slots, so none has
to wait for its token."""


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What to load, and how. Comes once, after DevicesFound. Where a number is 0, the runner chooses."""

    path: str
    adapters: list[str] = []  # paths of LoRA adapters, all of which are applied
    log_level: int
    slots: int = 0
    eager_tokens: int = 0  # per slot, if the cache is not elastic; 0: as many as the model was trained for
    store: StoreKind | None = None  # None: the best that works
    cache_type: CacheType = CacheType.F16
    flash_attention: FlashAttention = FlashAttention.AUTO
    initial_tokens: int = INITIAL_TOKENS
    grow_tokens: int = 1024
    checkpoints: int = 0  # per slot, at most
    prefix_cache: str = ""  # the folder for conversations that slots lose; "" for none
    prefix_cache_bytes: int = 0  # the most that all files in it may take
    model: str = ""  # what tells weights and adapters from all others, and from what they were before
    idle_shrink_s: float = math.inf
    memory_wait_s: float = 0  # how long a generation may wait for memory from other models
    ledger_fd: int  # inherited; the ledger of all runners
    ledger_entry: int
    devices_fd: int  # inherited; the ledger of devices, with the same entries
    demands_fd: int  # inherited; the table of who computes, by the entries of the ledger
    budget_bytes: int | None = None  # for all runners together
    headroom_bytes: int = 0
    maps_weights: bool = True
    books_weights: bool = True  # counts them in the ledger; False if another runner has the same file mapped
    handover: str = ""  # path of a file with the cells of the last runner of this model; "" for none
    workers: list[str] = []  # as in FindDevices
    placement: Placement = HOST_ONLY
    device_headroom_bytes: int = 0  # on each device
    batch_tokens: int = BATCH_TOKENS


class LoadProgress(msgspec.Struct, frozen=True, tag=True):
    """More of the weights has been loaded since the last message."""


class Loaded(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The runner is ready.

    `store_reason` says why this store was chosen; `store` is None for a model that only embeds, since nothing is kept
    between its requests. Special tokens are given as texts, "" if there is none. `middle_tokens` stand before a prefix,
    before a suffix and before what belongs between them; None if the vocabulary has none.
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
    has_prefix_cache: bool = False  # whether it is worth while to send KeepPrefixes
    is_on_devices: bool = False  # whether all layers, the output and the cache are
