"""The jobs of the sandbox's processes, and the messages between them and the server."""

import copy
import itertools
import pickle
import re
import struct
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from swell.errors import InvalidRequestError
from swell.schemas.grammars import check
from swell.text.prompts.history import template_messages
from swell.text.prompts.messages import Message
from swell.text.prompts.roles import forms
from swell.text.prompts.template import compile_template, render

LENGTH = struct.Struct("<I")
"""Stands before each message and says how many bytes it has."""
TEXT_MAX = 32 << 20
"""Characters that a template may write."""
_TRIED_CHARACTERS_MAX = 128 << 20
"""In all forms of a conversation that are tried together; so many take half a second."""
_MESSAGE_CHARACTERS = 1000
"""What a message costs beside its text, in characters that take as long."""
_TRIES_MIN = 16
_WORDS = re.compile(r"[A-Za-z0-9]+")


class Render(msgspec.Struct, frozen=True, kw_only=True):
    """Write `messages` and `tools` with `template`; the rest is as in `prompts.template.render`."""

    NAME: ClassVar[str] = "the model's chat template"

    template: str
    messages: list[Message]
    bos_token: str
    eos_token: str
    tools: list[dict[str, Any]]
    thinking: bool | str | None

    @property
    def program(self) -> str:
        """The part of the job that decides how long it takes; refused from then on if it takes too long."""
        return self.template

    def run(self) -> str:
        """The prompt, of the first form of the messages that the template writes in full.

        If it writes none in full, the first one that it writes. Raises InvalidRequestError, with what it says to the
        messages as they are, if it refuses all.
        """
        compile_template(self.template)  # no form helps if that fails
        written: str | None = None
        refusals: list[InvalidRequestError] = []
        for form in itertools.islice(forms(self.messages), _tries(self.messages)):
            try:
                text = self._render(form)
            except InvalidRequestError as error:
                refusals.append(error)
                continue
            if _is_whole(text, form):
                return text
            written = text if written is None else written
        if written is None:
            raise refusals[0]
        return written

    def _render(self, messages: Sequence[Message]) -> str:
        return render(
            self.template,
            template_messages(self.template, messages),
            bos_token=self.bos_token,
            eos_token=self.eos_token,
            tools=copy.deepcopy(self.tools),  # some templates change what they are given
            thinking=self.thinking,
        )


def _tries(messages: Sequence[Message]) -> int:
    """How many forms are tried: fewer of a long conversation, so that all together don't take too long."""
    characters = sum(_MESSAGE_CHARACTERS + len(message.content) for message in messages)
    return max(_TRIES_MIN, _TRIED_CHARACTERS_MAX // max(characters, 1))


def _is_whole(text: str, messages: Sequence[Message]) -> bool:
    """Whether `text` holds all messages of the user, the system and the tools: some templates leave out those that they
    don't expect.

    Each is first looked for after the one before it, so that this takes linear time.
    """
    end = 0
    for message in messages:
        said = _trace(message)
        start = text.find(said, end)
        start = text.find(said) if start < 0 else start
        if start < 0:
            return False
        end = max(end, start + len(said))
    return True


def _trace(message: Message) -> str:
    """The text that must be found of a message. Of a tool's result it is the longest word, since that may be written as
    JSON; of the assistant's message it is "", since templates leave out thoughts, and texts beside calls.
    """
    match "system" if message.is_system else message.role.lower():
        case "system" | "user":
            return message.content.strip()
        case "tool":
            return max(_WORDS.findall(message.content), key=len, default="")
    return ""


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


Job = Render | CheckSchema


class JobDone(msgspec.Struct, frozen=True, tag=True):
    """The result of a job."""

    text: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why a job has no result."""

    reason: str


def frame(message: Job | JobDone | Refused) -> bytes:
    """`message` as it goes through a pipe.

    A job is pickled, since the arguments of a call may hold integers of any size. What comes back is not: it was
    written beside a foreign program.
    """
    data = pickle.dumps(message) if isinstance(message, Job) else msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data
