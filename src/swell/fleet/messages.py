"""What a front and a replica say to each other beside the protocol of runners.

A connection begins with one of `Opening`. After LeaseRequest it is one to a runner: the replica answers Loaded or
LoadFailed, then it takes and gives what a runner does. After WatchRequest, reports come until one side leaves, and the
front may send `Wish`es. Frames are those of `protocol.framing`.
"""

from datetime import datetime

import msgspec

from swell.metrics.events import (
    LoadEnded,
    LoadStarted,
    MemoryReclaimed,
    ModelUnloaded,
    WindowGrown,
    WindowShrunk,
)
from swell.options import Options
from swell.protocol.messages import CacheCount, Loaded, Prefixes, Stats
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.runner_key import RunnerRole


class LeaseRequest(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Lease a runner of the model called `model` if its files are those of `key`, until the connection ends. The rest
    is as for a scheduler's `lease`.
    """

    secret: str
    model: str
    key: str
    keep_alive_s: float | None = None
    options: Options = Options()
    also: LoadOptions = LoadOptions()
    role: RunnerRole = RunnerRole.SHARED


class WatchRequest(msgspec.Struct, frozen=True, tag=True):
    """Report twice a second, and whenever a lease has begun or ended."""

    secret: str


class CountMemory(msgspec.Struct, frozen=True, tag=True):
    """Report with memory counted in this way; that report has the number `id`."""

    id: int
    count: CacheCount = CacheCount.PAGES


class UnloadModel(msgspec.Struct, frozen=True, tag=True):
    """Unload a model once its last request has ended."""

    model: str
    key: str


class ReplicaModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a replica has loaded; what the fields mean says `LoadedModel`. `prefixes` is None where nothing new
    is known of them.
    """

    name: str
    key: str
    facts: Loaded
    stats: Stats | None
    expires_at: datetime
    num_ctx: int | None
    users: int
    prefixes: Prefixes | None


ReplicaEvent = LoadEnded | LoadStarted | MemoryReclaimed | ModelUnloaded | WindowGrown | WindowShrunk
"""What happens on a replica that its front can't know of itself."""


class ReplicaReport(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What is true of a replica: `free_bytes` for windows, `load_free_bytes` for another model, and how many requests
    are `queued` for a load. One that is draining takes no new leases. `id` is that of the CountMemory that it answers.
    `events` happened since the last report that answered none, the latest ones if there were many.
    """

    models: list[ReplicaModel]
    free_bytes: int
    load_free_bytes: int
    queued: int
    is_draining: bool
    id: int = 0
    events: list[ReplicaEvent] = []


Opening = LeaseRequest | WatchRequest
Wish = CountMemory | UnloadModel
