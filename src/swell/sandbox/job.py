"""The jobs of the sandbox's processes, and the messages between them and the server."""

import pickle
import struct
from typing import ClassVar

import msgspec

from swell.sandbox.rendering_jobs import RenderJob
from swell.schemas.grammars import check

LENGTH = struct.Struct("<I")
"""Stands before each message and says how many bytes it has."""
TEXT_MAX = 32 << 20
"""Characters that a template may write."""


class CheckSchema(msgspec.Struct, frozen=True, kw_only=True):
    """Find out whether output can follow a JSON schema."""

    NAME: ClassVar[str] = "invalid format: the JSON schema"

    schema: str

    @property
    def program(self) -> str:
        """The part of the job that decides how long it takes; refused from then on if it takes too long."""
        return self.schema

    def run(self) -> str:
        """Return "". Raises InvalidRequestError if output can't follow the schema."""
        check(self.schema)
        return ""


Job = RenderJob | CheckSchema


class JobDone(msgspec.Struct, frozen=True, tag=True):
    """The result of a job."""

    text: str


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """Why a template in Go's language can't be read, and in which line."""

    reason: str
    line: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why a job has no result."""

    reason: str


Answer = JobDone | Refused | Unreadable


def frame(message: Job | Answer) -> bytes:
    """`message` as it goes through a pipe.

    A job is pickled, since the arguments of a call may hold integers of any size. What comes back is not: it was
    written beside a foreign program.
    """
    data = pickle.dumps(message) if isinstance(message, Job) else msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data
