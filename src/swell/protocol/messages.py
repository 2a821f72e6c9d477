"""All messages between the server and a runner: `Request` goes to a runner, `Reply` comes back.

Every request but `FindDevices`, `Load` and `Cancel` carries an `id` chosen by the server; replies to it carry the same.
Durations are in nanoseconds, as in the API. The messages are defined in modules by subject and imported from here.
"""

from swell.protocol.failures import Failed, LoadFailed
from swell.protocol.generating import (
    Cancel,
    Emitted,
    Finished,
    FinishReason,
    Generate,
    Prefilled,
    StepOutput,
    TokenAlternative,
    TokenLikelihood,
)
from swell.protocol.loading import (
    WORKER_EXIT_CODES,
    DevicesFound,
    FindDevices,
    Load,
    Loaded,
    LoadProgress,
    WorkerMissing,
)
from swell.protocol.memory import (
    GrantChanged,
    KeepPrefixes,
    MemoryOffered,
    NeedMemory,
    SaveSlots,
    Shrink,
    ShrinkLevel,
    Shrunk,
    SlotsSaved,
)
from swell.protocol.prefixes import GetPrefixes, Prefixes
from swell.protocol.stats import (
    CacheCount,
    GetStats,
    Ping,
    Pong,
    SlotState,
    SlotStats,
    Stats,
    ThreadStats,
    Totals,
)
from swell.protocol.texts import Embed, Embedded, Tokenize, Tokenized

# fmt: off
__all__ = [
    "WORKER_EXIT_CODES", "CacheCount", "Cancel", "DevicesFound", "Embed", "Embedded", "Emitted", "Failed",
    "FindDevices", "FinishReason", "Finished", "Generate", "GetPrefixes", "GetStats", "GrantChanged", "KeepPrefixes",
    "Load", "LoadFailed", "LoadProgress", "Loaded", "MemoryOffered", "NeedMemory", "Ping", "Pong", "Prefilled",
    "Prefixes", "Reply", "Request", "SaveSlots", "Shrink", "ShrinkLevel", "Shrunk", "SlotState", "SlotStats",
    "SlotsSaved", "Stats", "StepOutput", "ThreadStats", "TokenAlternative", "TokenLikelihood", "Tokenize",
    "Tokenized", "Totals", "WorkerMissing",
]
Request = (
    FindDevices | SaveSlots | KeepPrefixes | Load | Generate | Embed | Cancel | Tokenize | GetStats | Ping | Shrink
    | MemoryOffered | GetPrefixes
)
# fmt: on

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
    | GrantChanged
    | Shrunk
    | Prefixes
)
