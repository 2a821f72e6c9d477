"""A conversation under the names that chat templates use, changed for templates that insist on something."""

import copy
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from swell.text.prompts.messages import Message, ToolCall

_CALLS_WITHOUT_CONTENT = re.compile(r"'assistant' and message\['content'\] is none")
"""DeepSeek's templates look for calls only where the content is null; others fail if it is."""
_WANTS_SHORT_IDS = re.compile(r"length\s*!=\s*9")
_SHORT_ID_LETTERS = 9


class TemplateArguments(dict[str, Any]):
    """The arguments of a call. Some templates print them as an object, others add them to a string as JSON."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)

    def __add__(self, other: str) -> str:
        return str(self) + other

    def __radd__(self, other: str) -> str:
        return other + str(self)


def template_messages(template: str, messages: Sequence[Message]) -> list[dict[str, object]]:
    """`messages` as `template` takes them. Empty fields are left out, except the content.

    Calls and their results belong together by ids. Calls without one are numbered; a result without one belongs to the
    first call that has no result yet, of the same tool if the result names one.
    """
    calls = _CallHistory(shortens=_WANTS_SHORT_IDS.search(template) is not None)
    result = []
    for message in messages:
        role = "system" if message.is_system else message.role.lower()
        fields: dict[str, object] = {"role": role, "content": message.content}
        if message.thinking:
            fields["thinking"] = fields["reasoning_content"] = message.thinking
        if message.tool_calls:
            fields["tool_calls"] = [calls.add(call) for call in message.tool_calls]
            if not message.content and _CALLS_WITHOUT_CONTENT.search(template):
                fields["content"] = None
            elif message.content and "Cannot pass both content and thinking" in template:
                fields.pop("thinking", None)
        if role == "tool":
            fields |= calls.answer(message)
        result.append(fields)
    return result


class _CallHistory:
    """The calls so far, and which of them have no result yet."""

    def __init__(self, *, shortens: bool) -> None:
        self._shortens = shortens
        self._names: dict[str, str] = {}
        self._open: list[str] = []

    def add(self, call: ToolCall) -> dict[str, object]:
        """`call` as templates take it, with an id."""
        call_id = self._id(call.id or f"call{len(self._names):05}")
        self._names[call_id] = call.function.name
        self._open.append(call_id)
        function = {"name": call.function.name, "arguments": TemplateArguments(copy.deepcopy(call.function.arguments))}
        return {"id": call_id, "type": "function", "function": function}

    def answer(self, message: Message) -> dict[str, object]:
        """The fields that say what `message` is the result of."""
        call_id = self._id(message.tool_call_id) if message.tool_call_id else self._first_open(message.tool_name)
        if call_id in self._open:
            self._open.remove(call_id)
        name = message.tool_name or self._names.get(call_id, "")
        return {key: value for key, value in {"name": name, "tool_call_id": call_id}.items() if value}

    def _first_open(self, name: str) -> str:
        return next((one for one in self._open if not name or self._names[one] == name), "")

    def _id(self, given: str) -> str:
        """`given`, or an id of nine characters made of it for templates of Mistral, which refuse others."""
        if not self._shortens or (len(given) == _SHORT_ID_LETTERS and given.isalnum()):
            return given
        return hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()[:_SHORT_ID_LETTERS]
