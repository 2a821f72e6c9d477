"""What a transfer's process is told, and the lines it writes: JSON, one message each."""

from enum import Enum
from typing import Any

import msgspec

from swell.store.names import ModelName
from swell.store.progress import Progress


class Direction(Enum):
    """Which way a model goes."""

    PULL = "pull"
    PUSH = "push"


class TransferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How a transfer is cut up, and what it bears with."""

    parts: int = 16
    """Into so many parts a blob is cut, if they have sizes between the next two."""
    part_min_bytes: int = 100_000_000
    part_max_bytes: int = 1_000_000_000
    streams: int = 4
    """Parts that are on their way at a time. Two fill a loopback; more help where each connection is slow."""
    tries: int = 6
    """For a part, in a row without getting on."""
    backoff_s: float = 1.0
    """Before the second try; before each further one twice as long."""
    record_s: float = 1.0
    """Between two records of what has come: so much of a pull is lost when its process is killed."""
    stall_s: float = 30.0
    """A connection that brings next to nothing for so long is given up."""
    patience_s: float = 300.0
    """So is the transfer, if nothing at all gets on for so long, whatever the reason."""


class TransferJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a process does: bring a model from a registry to a store, or the other way."""

    direction: Direction
    name: ModelName
    scheme: str
    folder: str
    """Of the store."""
    prunes: bool
    """Whether blobs may be deleted from the store."""
    key_file: str
    limits: TransferLimits


class Reported(msgspec.Struct, frozen=True, tag=True):
    """Something got on."""

    progress: Progress


class Pulled(msgspec.Struct, frozen=True, tag=True):
    """All layers are in the store; this is the manifest. The end."""

    manifest: bytes


class Pushed(msgspec.Struct, frozen=True, tag=True):
    """The registry has the model. The end."""


class TransferFailed(msgspec.Struct, frozen=True, tag=True):
    """Nothing more can be done; `kind` and `fields` as in `swell.errors.to_data`. The end."""

    kind: str
    fields: dict[str, Any]


TransferMessage = Reported | Pulled | Pushed | TransferFailed
