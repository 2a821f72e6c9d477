"""From the events of a model's turn to the items and events of /v1/responses."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from swell.api.http.errors import text_of
from swell.api.http.events import Event
from swell.api.openai.errors import code_of
from swell.api.openai.offered import OfferedTool
from swell.api.openai.output import (
    AnyCallItem,
    CallItem,
    Item,
    MessageItem,
    ReasoningItem,
    ResponseObject,
    TextPart,
    call_item,
    completed,
    new_id,
)
from swell.text.parsing.parts import Text, Thought, ToolCall
from swell.turns.events import Finish, PromptRead, TurnEvent


class ResponseWriter:
    """One answer: its items, of which at most one is open, and what a stream says of them."""

    def __init__(self, response: ResponseObject, offered: Mapping[str, OfferedTool]) -> None:
        """`offered` are the tools, by the names that the model knows."""
        self._response = response
        self._offered = offered
        self._items: list[Item] = []
        self._open: ReasoningItem | MessageItem | None = None
        self._text: list[str] = []
        self._sequence = 0

    def add(self, event: TurnEvent) -> Iterator[Event]:
        """Takes `event` in; gives what a stream says of it. Must be exhausted."""
        match event:
            case PromptRead():
                yield self._event("response.created", response=self._response)
                yield self._event("response.in_progress", response=self._response)
            case Thought(text=text) if text:
                yield from self._switch_to(ReasoningItem)
                self._text.append(text)
                yield self._about("response.reasoning_summary_text.delta", summary_index=0, delta=text)
            case Text(text=text) if text:
                yield from self._switch_to(MessageItem)
                self._text.append(text)
                yield self._about("response.output_text.delta", content_index=0, delta=text, logprobs=[])
            case ToolCall():
                yield from self._close()
                yield from self._call(call_item(event, self._offered.get(event.name)))
            case Finish():
                if not self._items:
                    yield from self._switch_to(MessageItem)
                yield from self._close()
                self._response = completed(self._response, self._items, event)
                yield self._event("response.completed", response=self._response)

    def whole(self) -> ResponseObject:
        """The whole answer, when it is complete. Text beside tool calls is dropped, as in Ollama."""
        output = self._response.output
        if any(isinstance(item, AnyCallItem) for item in output):
            output = [item for item in output if not isinstance(item, MessageItem)]
        return msgspec.structs.replace(self._response, output=output)

    def failed(self, error: Exception) -> Event:
        """The last event of a stream that failed."""
        reason = {"code": code_of(error) or "server_error", "message": text_of(error)}
        response = msgspec.structs.replace(self._response, status="failed", error=reason)
        return self._event("response.failed", response=response)

    def _switch_to(self, kind: type[ReasoningItem] | type[MessageItem]) -> Iterator[Event]:
        """Makes an item of that kind the open one."""
        if isinstance(self._open, kind):
            return
        yield from self._close()
        if kind is ReasoningItem:
            self._open = ReasoningItem(id=new_id("rs_"))
            yield self._about_item("response.output_item.added", self._open)
        else:
            self._open = MessageItem(id=new_id("msg_"), status="in_progress")
            yield self._about_item("response.output_item.added", self._open)
            yield self._about("response.content_part.added", content_index=0, part=TextPart())

    def _close(self) -> Iterator[Event]:
        """Ends the open item, if there is one."""
        text = "".join(self._text)
        done: ReasoningItem | MessageItem
        match self._open:
            case None:
                return
            case ReasoningItem(id=id):
                done = ReasoningItem.of(id, text)
                yield self._about("response.reasoning_summary_text.done", summary_index=0, text=text)
            case MessageItem(id=id):
                part = TextPart(text=text)
                done = MessageItem(id=id, content=[part])
                yield self._about("response.output_text.done", content_index=0, text=text, logprobs=[])
                yield self._about("response.content_part.done", content_index=0, part=part)
        yield self._about_item("response.output_item.done", done)
        self._items.append(done)
        self._open = None
        self._text.clear()

    def _call(self, call: AnyCallItem) -> Iterator[Event]:
        place = {"item_id": call.id, "output_index": len(self._items)}
        if isinstance(call, CallItem):
            kind, what, text, more = "function_call_arguments", "arguments", call.arguments, {"name": call.name}
        else:
            kind, what, text, more = "custom_tool_call_input", "input", call.input, {}
        begun = msgspec.structs.replace(call, status="in_progress", **{what: ""})
        yield self._about_item("response.output_item.added", begun)
        yield self._event(f"response.{kind}.delta", **place, delta=text)
        yield self._event(f"response.{kind}.done", **place, **more, **{what: text})
        yield self._about_item("response.output_item.done", call)
        self._items.append(call)

    def _about(self, type: str, **fields: Any) -> Event:
        """An event about what is in the open item."""
        assert self._open is not None
        return self._event(type, item_id=self._open.id, output_index=len(self._items), **fields)

    def _about_item(self, type: str, item: Item) -> Event:
        return self._event(type, output_index=len(self._items), item=item)

    def _event(self, type: str, **fields: Any) -> Event:
        event = Event({"type": type, "sequence_number": self._sequence, **fields}, type)
        self._sequence += 1
        return event
