"""What was found out, as values that go into JSON as they are. Nothing here judges."""

from enum import Enum

import msgspec

from swell.devices import DeviceMemory


class ProcessorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Logical processors there are and may be used, the cores they belong to, and the least quota of a control group in
    processors' worth of time. `threads` compute if nobody else wants to.
    """

    name: str
    logical: int
    allowed: int
    cores: int
    quota: float | None
    threads: int


class GroupLimit(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a control group that has a limit."""

    limit_bytes: int
    free_bytes: int


class Overcommit(Enum):
    """vm.overcommit_memory: whether memory may be mapped that isn't there."""

    HEURISTIC = "heuristic"
    ALWAYS = "always"
    NEVER = "never"
    UNKNOWN = "unknown"


class MemoryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's memory, and the least of what it and all control groups have (`total_bytes`, `free_bytes`).

    `address_space_bytes` is a limit on what a process may map. `huge_pages` is "always", "madvise" or "never"; "" where
    the kernel has none.
    """

    machine_total_bytes: int
    machine_available_bytes: int
    total_bytes: int
    free_bytes: int
    groups: list[GroupLimit]
    swap_total_bytes: int
    swap_free_bytes: int
    overcommit: Overcommit
    commit_free_bytes: int
    address_space_bytes: int | None
    huge_pages: str


class Vendor(Enum):
    """Makers of devices that llama.cpp computes on."""

    NVIDIA = "NVIDIA"
    AMD = "AMD"
    INTEL = "Intel"


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """A graphics or computing device on the machine's bus; `driver` is the kernel's, "" for none."""

    address: str
    vendor: Vendor
    driver: str


class HardwareFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Devices beside the processor; `reachable` are the makers whose device files a program here could open.
    `hidden_by` are the variables that hide devices, as `NAME=value`.
    """

    accelerators: list[Accelerator]
    reachable: list[Vendor]
    hidden_by: list[str]


class MatrixUnits(Enum):
    """Intel's AMX, as this llama.cpp has it."""

    ABSENT = "not compiled in"
    WORKING = "working"
    BROKEN = "compiled wrongly, not used"


class LibraryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """llama.cpp as it is installed. `devices` are those that can take layers.

    The refusals are why the Reserved store can't be used, and why threads can't follow the machine; None: they can.
    """

    package: str
    version: str
    flags: list[str]
    backends: list[str]
    devices: list[DeviceMemory]
    has_rpc: bool
    fuses_attention: bool
    matrix_units: MatrixUnits
    reserved_refusal: str | None
    threads_refusal: str | None


class LibraryFailure(msgspec.Struct, frozen=True, kw_only=True):
    """llama.cpp can't be used at all; `exit_code` as in `subprocess`, `reason` is what the process wrote at its end."""

    exit_code: int
    reason: str


class SettingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that is in the environment; with a `fault`, its default counts."""

    name: str
    text: str
    default: str
    fault: str


class UnknownSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that looks like a setting and is none; `nearest` is what it may be meant for, "" for nothing."""

    name: str
    nearest: str


class ServerState(Enum):
    """What is at the address where a server is to be."""

    SWELL = "swell answers"
    OTHER = "another program answers"
    SILENT = "in use, and nobody answers"
    FREE = "free"
    FORBIDDEN = "not allowed"
    ELSEWHERE = "not this machine's"


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is at `url`; `version` is what answers there says of itself, "" if nothing."""

    url: str
    state: ServerState
    version: str = ""


class FolderState(Enum):
    """What can be done with a folder."""

    GOOD = "readable and writable"
    READ_ONLY = "readable only"
    UNREADABLE = "not readable"
    MISSING = "not there yet"
    IMPOSSIBLE = "not there, and can't be made"


class FolderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that the setting `setting` names, and the space that is free on its disk."""

    setting: str
    path: str
    state: FolderState
    free_bytes: int


class ModelFit(msgspec.Struct, frozen=True, kw_only=True):
    """The longest window of one conversation that there is memory for now; 0 if there is none for the first grant."""

    cache_type: str
    window_tokens: int
    device_layers: int


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A model, the store that it gets (None: models for embeddings keep no cache) and why, and what fits.

    `other_bytes` is what a runner takes beside weights and cache, `cell_bytes` what a token takes in f16.
    """

    name: str
    weights_bytes: int
    other_bytes: int
    cell_bytes: int
    window_tokens: int
    store: str | None
    store_reason: str
    fits: list[ModelFit]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found out. `missing_models` were asked for, `damaged_models` are there; each with why.

    `asked_models` are those of `models` that were asked for by name.
    """

    swell: str
    python: str
    kernel: str
    processors: ProcessorFacts
    memory: MemoryFacts
    budget_bytes: int | None
    headroom_bytes: int
    hardware: HardwareFacts
    library: LibraryFacts | LibraryFailure
    settings: list[SettingFacts]
    unknown_settings: list[UnknownSetting]
    server: ServerFacts
    folders: list[FolderFacts]
    models: list[ModelFacts]
    asked_models: list[str]
    missing_models: dict[str, str]
    damaged_models: dict[str, str]
