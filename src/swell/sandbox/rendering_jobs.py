"""The jobs that write prompts with the templates of strangers."""

import contextlib
import copy
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from swell.errors import RequestError
from swell.text.prompts.go import read_template, render_conversation, render_gap
from swell.text.prompts.history import template_messages
from swell.text.prompts.messages import Message, Tool, plainly_typed
from swell.text.prompts.roles import forms
from swell.text.prompts.template import compile_template, render

_TRIED_CHARACTERS_MAX = 128 << 20
"""In all forms of a conversation that are tried together; so many take half a second."""
_MESSAGE_CHARACTERS = 1000
"""What a message costs beside its text, in characters that take as long."""
_TRIES_MIN = 16
_WORDS = re.compile(r"[A-Za-z0-9]+")


class Render(msgspec.Struct, frozen=True, kw_only=True):
    """Write `messages` and `tools` with a template in Jinja; the rest is as in `prompts.template.render`."""

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
        """The prompt. Raises InvalidRequestError if the template refuses all forms of the messages."""
        compile_template(self.template)  # no form helps if that fails
        try:
            return _in_full(self.messages, self._render)
        except RequestError:
            if (tools := [plainly_typed(tool) for tool in self.tools]) == self.tools:
                raise
            with contextlib.suppress(RequestError):  # else the first refusal says more
                return msgspec.structs.replace(self, tools=tools).run()
            raise

    def _render(self, messages: Sequence[Message]) -> str:
        return render(
            self.template,
            template_messages(self.template, messages),
            bos_token=self.bos_token,
            eos_token=self.eos_token,
            tools=copy.deepcopy(self.tools),  # some templates change what they are given
            thinking=self.thinking,
        )


class RenderGo(msgspec.Struct, frozen=True, kw_only=True):
    """Write `messages` and `tools` with a template in Go's language."""

    NAME: ClassVar[str] = "the template"

    template: str
    messages: list[Message]
    tools: list[Tool]
    thinking: bool | str | None

    @property
    def program(self) -> str:
        """The part of the job that decides how long it takes; refused from then on if it takes too long."""
        return self.template

    def run(self) -> str:
        """The prompt. Raises a GoTemplateError."""
        read_template(self.template)  # no form helps if that fails
        return _in_full(self.messages, self._render)

    def _render(self, messages: Sequence[Message]) -> str:
        return render_conversation(self.template, messages, self.tools, self.thinking)


class RenderGap(msgspec.Struct, frozen=True, kw_only=True):
    """Write, with a template in Go's language, the prompt for what belongs between `prompt` and `suffix`."""

    NAME: ClassVar[str] = "the template"

    template: str
    prompt: str
    suffix: str
    thinking: bool | str | None

    @property
    def program(self) -> str:
        """The part of the job that decides how long it takes; refused from then on if it takes too long."""
        return self.template

    def run(self) -> str:
        """The prompt. Raises a GoTemplateError."""
        return render_gap(self.template, self.prompt, self.suffix, self.thinking)


RenderJob = Render | RenderGo | RenderGap


def _in_full(messages: Sequence[Message], write: Callable[[Sequence[Message]], str]) -> str:
    """What `write` makes of the first form of `messages` that it writes in full.

    If it writes none in full, of the first one that it writes. Raises a RequestError, with what it says to the messages
    as they are, if it refuses all.
    """
    written: str | None = None
    refusals: list[RequestError] = []
    for form in itertools.islice(forms(messages), _tries(messages)):
        try:
            text = write(form)
        except RequestError as error:
            refusals.append(error)
            continue
        if _is_whole(text, form):
            return text
        written = text if written is None else written
    if written is None:
        raise refusals[0]
    return written


def _tries(messages: Sequence[Message]) -> int:
    """How many forms are tried: fewer of a long conversation, so that all together don't take too long."""
    characters = sum(_MESSAGE_CHARACTERS + len(message.content) for message in messages)
    return max(_TRIES_MIN, _TRIED_CHARACTERS_MAX // max(characters, 1))


def _is_whole(text: str, messages: Sequence[Message]) -> bool:
    """Whether `text` holds all messages of the user, the system and the tools, and the names of all calls: some
    templates leave out those that they don't expect.

    Each is first looked for after the one before it, so that this takes linear time. The name of a call counts only
    there, since the tools that can be called are named before.
    """
    end = place = 0
    for message in messages:
        for call in message.tool_calls:
            if (start := text.find(call.function.name, place)) < 0:
                return False
            place = start + len(call.function.name)
        if not (said := _trace(message)):
            continue
        start = text.find(said, end)
        start = text.find(said) if start < 0 else start
        if start < 0:
            return False
        end, place = max(end, start + len(said)), place if message.is_system else start + len(said)
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
