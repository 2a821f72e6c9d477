"""What is said between the server and the process in which templates run, and what such a process may take."""

import pickle
import struct
from typing import Any

import msgspec

from swell.server.prompts.history import template_messages
from swell.server.prompts.messages import Message
from swell.server.prompts.template import render

LENGTH = struct.Struct("<I")
"""Stands before each message: how many bytes it has."""
CPU_LIMIT_S = 5.0
"""Of one rendering. A conversation of 500,000 characters takes a hundredth of a second."""
MEMORY_LIMIT_BYTES = 1 << 30
TEXT_MAX = 32 << 20
"""Characters that a template may write."""


class Render(msgspec.Struct, frozen=True, kw_only=True):
    """Write `messages` and `tools` with `template`; the rest is as in `prompts.template.render`."""

    template: str
    messages: list[Message]
    bos_token: str
    eos_token: str
    tools: list[dict[str, Any]]
    thinking: bool | str | None

    def run(self) -> str:
        """The prompt, made in this process; raises InvalidRequestError if the template refuses."""
        return render(
            self.template,
            template_messages(self.template, self.messages),
            bos_token=self.bos_token,
            eos_token=self.eos_token,
            tools=self.tools,
            thinking=self.thinking,
        )


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """What it wrote."""

    text: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why it wrote nothing."""

    reason: str


def frame(message: Render | Rendered | Refused) -> bytes:
    """`message` as it goes through a pipe.

    A job is pickled, since the arguments of a call may hold integers of any size. What comes back is not: it was
    written beside a foreign program.
    """
    data = pickle.dumps(message) if isinstance(message, Render) else msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data
