"""From the events of a model's turn to the blocks and events of /v1/messages."""

from collections.abc import Iterator
from typing import Any

import msgspec

from swell.api.anthropic.replies import Block, Message, TextBlock, ThinkingBlock, ToolUseBlock, Usage
from swell.api.http.events import Event
from swell.api.http.json import encode
from swell.api.v1 import random_id
from swell.text.parsing.parts import Text, Thought, ToolCall
from swell.turns.events import Finish, PromptRead, TurnEvent

PING = Event({"type": "ping"}, "ping").encode()
"""What Anthropic sends while nothing comes; its clients skip it, also before a message begins."""

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class MessageWriter:
    """One answer: its blocks, of which at most one is open, and what a stream says of them."""

    def __init__(self, model: str) -> None:
        self._message = Message(id=random_id("msg_"), model=model, usage=Usage())
        self._blocks: list[Block] = []
        self._open: ThinkingBlock | TextBlock | None = None
        self._text: list[str] = []

    def whole(self) -> Message:
        """The whole answer, once the turn has finished."""
        return self._message

    def add(self, event: TurnEvent) -> Iterator[Event]:
        """Takes `event` in; gives what a stream says of it. Must be exhausted."""
        match event:
            case PromptRead():
                usage = Usage.of(event.prompt_tokens, event.cached_tokens, 0)
                self._message = msgspec.structs.replace(self._message, usage=usage)
                yield _event("message_start", message=self._message)
            case Thought(text=text) if text:
                yield from self._extend(ThinkingBlock, text, {"type": "thinking_delta", "thinking": text})
            case Text(text=text) if text:
                yield from self._extend(TextBlock, text, {"type": "text_delta", "text": text})
            case ToolCall():
                yield from self._close()
                yield from self._call(event)
            case Finish():
                yield from self._close()
                yield from self._finish(event)

    def _extend(self, kind: type[ThinkingBlock] | type[TextBlock], text: str, delta: dict[str, str]) -> Iterator[Event]:
        """Adds to the open block if it is of that kind, else to a new one."""
        if not isinstance(self._open, kind):
            yield from self._close()
            self._open = kind()
            yield self._about("content_block_start", content_block=self._open)
        self._text.append(text)
        yield self._about("content_block_delta", delta=delta)

    def _close(self) -> Iterator[Event]:
        """Ends the open block, if there is one."""
        text = "".join(self._text)
        match self._open:
            case None:
                return
            case ThinkingBlock():
                block: Block = ThinkingBlock(thinking=text)
            case TextBlock():
                block = TextBlock(text=text)
        yield self._about("content_block_stop")
        self._blocks.append(block)
        self._open = None
        self._text.clear()

    def _call(self, call: ToolCall) -> Iterator[Event]:
        block = ToolUseBlock(id=call.id, name=call.name, input=call.arguments)
        delta = {"type": "input_json_delta", "partial_json": encode(call.arguments).decode()}
        yield self._about("content_block_start", content_block=msgspec.structs.replace(block, input={}))
        yield self._about("content_block_delta", delta=delta)
        yield self._about("content_block_stop")
        self._blocks.append(block)

    def _finish(self, finish: Finish) -> Iterator[Event]:
        has_calls = any(isinstance(block, ToolUseBlock) for block in self._blocks)
        stop = None if has_calls else finish.stop or None
        reason = (
            "tool_use"
            if has_calls
            else "stop_sequence"
            if stop
            else _STOP_REASONS.get(finish.done_reason, "stop_sequence")
        )
        usage = Usage.of(finish.prompt_eval_count, finish.cached_tokens, finish.eval_count)
        end = {"stop_reason": reason, "stop_sequence": stop}
        self._message = msgspec.structs.replace(self._message, content=self._blocks, usage=usage, **end)
        yield _event("message_delta", delta=end, usage=usage)
        yield _event("message_stop")

    def _about(self, type: str, **fields: Any) -> Event:
        """An event about the block that comes after the finished ones."""
        return _event(type, index=len(self._blocks), **fields)


def _event(type: str, **fields: Any) -> Event:
    return Event({"type": type, **fields}, type)
