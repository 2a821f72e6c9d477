"""A model's turn in the words of each API, in one piece and as a stream."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from swell.api.anthropic.writing import MessageWriter
from swell.api.http.events import Event
from swell.api.openai.bodies import ResponseRequest
from swell.api.openai.offered import offered_tools
from swell.api.openai.output import begun
from swell.api.openai.replies import Identity
from swell.api.openai.turns import Turns
from swell.api.openai.writing import ResponseWriter
from swell.errors import PromptTooLongError
from swell.text.parsing.parts import Alternative, Likelihood, Text, Thought, ToolCall
from swell.turns.events import Finish, PromptRead, TurnEvent

CALL = ToolCall("add", {"a": 1}, "call_1")
FINISH = Finish("stop", 9, 1, 7, 2, 5, 3, cached_tokens=4)
CUT = FINISH._replace(done_reason="length")
TURN: tuple[TurnEvent, ...] = (
    PromptRead(7, 0, 0, 4), Thought("H"), Thought("m."), Text(""), Text("It "), Text("is"), CALL, CALL, FINISH
)  # fmt: skip
LIKELIHOOD = Likelihood(b"It", -0.5, (Alternative(b"It", -0.5), Alternative("é".encode()[:1], -1.0)))


def _plain(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


def _turns(count: int = 1) -> Turns:
    return Turns(Identity("chatcmpl-1", "m", 5), count)


def _chunks(*events: TurnEvent) -> list[Any]:
    turns = _turns()
    return [_plain(chunk) for event in events for chunk in turns.chunks(0, event)]


def _deltas(*events: TurnEvent) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in _chunks(*events)]


ADD = {"id": "call_1", "index": 0, "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


def test_a_chat_in_one_piece() -> None:
    turns = _turns()
    for event in TURN:
        turns.add(0, event)
    assert _plain(turns.completion()) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "system_fingerprint": "fp_ollama",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "It is",
                    "reasoning": "Hm.",
                    "tool_calls": [ADD, {**ADD, "index": 1}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }


def test_a_chat_in_chunks() -> None:
    chunks = _chunks(*TURN)
    assert all(
        (chunk["id"], chunk["object"], chunk["created"]) == ("chatcmpl-1", "chat.completion.chunk", 5)
        for chunk in chunks
    )
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "reasoning": "H"},
        {"content": "", "reasoning": "m."},
        {"content": ""},
        {"content": "It "},
        {"content": "is"},
        {"content": "", "tool_calls": [ADD]},
        {"content": "", "tool_calls": [{**ADD, "index": 1}]},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [*[None] * 7, "tool_calls"]


def test_a_chat_that_was_cut_or_says_nothing() -> None:
    assert _chunks(CALL, CUT)[-1]["choices"][0]["finish_reason"] == "length"
    assert _deltas(PromptRead(7, 0, 0), FINISH) == [{"role": "assistant", "content": ""}, {}]


def test_likelihoods_always_have_alternatives() -> None:
    (chunk,) = _chunks(Text("It", (LIKELIHOOD, Likelihood(b"", 0.0, ()))))
    assert chunk["choices"][0]["logprobs"]["content"] == [
        {
            "token": "It",
            "logprob": -0.5,
            "bytes": [73, 116],
            "top_logprobs": [
                {"token": "It", "logprob": -0.5, "bytes": [73, 116]},
                {"token": "\ufffd", "logprob": -1.0, "bytes": [0xC3]},
            ],
        },
        {"token": "", "logprob": 0.0, "bytes": [], "top_logprobs": []},
    ]


def test_several_answers_share_a_prompt() -> None:
    turns = _turns(2)
    for index, finish in enumerate((FINISH, FINISH._replace(cached_tokens=6))):
        turns.add(index, Text(str(index)))
        turns.add(index, finish)
    completion = turns.completion()
    assert [(choice.index, choice.message.content) for choice in completion.choices] == [(0, "0"), (1, "1")]
    usage = _plain(turns.usage_chunk())["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (7, 10, 17)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 4}
    assert _plain(turns.usage_chunk())["choices"] == []


def _named(events: Iterator[Event] | Sequence[Event]) -> list[Any]:
    found = [(event.name, _plain(event.data)) for event in events]
    assert all(name == data["type"] for name, data in found)
    return [data for _, data in found]


def _respond(*events: TurnEvent, tools: Sequence[dict[str, Any]] = ()) -> tuple[ResponseWriter, list[Any]]:
    request = ResponseRequest(model="m", input="Hi", tools=list(tools))
    writer = ResponseWriter(begun(request), offered_tools(request))
    said = _named([one for event in events for one in writer.add(event)])
    assert [data["sequence_number"] for data in said] == list(range(len(said)))
    return writer, said


def _types(said: Sequence[Any]) -> list[str]:
    return [data["type"].removeprefix("response.") for data in said]


def test_a_response_in_events() -> None:
    _, said = _respond(*TURN)
    call = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
    assert _types(said) == [
        *("created", "in_progress"),
        *(
            "output_item.added",
            *["reasoning_summary_text.delta"] * 2,
            "reasoning_summary_text.done",
            "output_item.done",
        ),
        *("output_item.added", "content_part.added", *["output_text.delta"] * 2),
        *("output_text.done", "content_part.done", "output_item.done"),
        *(*call, *call, "completed"),
    ]
    assert [data["output_index"] for data in said if data["type"] == "response.output_item.added"] == [0, 1, 2, 3]
    created, completed = said[0]["response"], said[-1]["response"]
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert (completed["status"], completed["id"]) == ("completed", created["id"])
    done = [data["item"] for data in said if data["type"] == "response.output_item.done"]
    assert completed["output"] == done
    assert done[0]["encrypted_content"] == done[0]["summary"][0]["text"] == "Hm."
    assert done[1]["content"] == [{"type": "output_text", "text": "It is", "annotations": [], "logprobs": []}]
    assert (done[2]["call_id"], done[2]["name"], done[2]["arguments"]) == ("call_1", "add", '{"a":1}')
    added = [data["item"] for data in said if data["type"] == "response.output_item.added"]
    assert (added[2]["status"], added[2]["arguments"]) == ("in_progress", "")
    assert completed["usage"]["total_tokens"] == 12
    assert (completed["usage"]["input_tokens"], completed["usage"]["input_tokens_details"]["cached_tokens"]) == (7, 4)


def test_a_response_in_one_piece_has_calls_or_text() -> None:
    writer, _ = _respond(*TURN)
    assert [item["type"] for item in _plain(writer.whole())["output"]] == ["reasoning", *["function_call"] * 2]
    writer, _ = _respond(PromptRead(7, 0, 0), Text("a"), CUT)
    response = _plain(writer.whole())
    assert [item["type"] for item in response["output"]] == ["message"]
    assert (response["status"], response["incomplete_details"]) == ("completed", None)


def test_calls_have_the_names_and_the_shape_of_their_tools() -> None:
    tools = [
        {"type": "namespace", "name": "math", "tools": [{"type": "function", "name": "add"}]},
        {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]},
        {"type": "namespace", "name": "a", "tools": [{"type": "custom", "name": "b"}]},
    ]
    calls = (
        ToolCall("math.add", {"a": 1}, "call_1"),
        ToolCall("exec", {"input": "ls\n"}, "call_2"),
        ToolCall("a.b", {"code": "x", "why": ""}, "call_3"),
    )
    writer, said = _respond(PromptRead(7, 0, 0), *calls, FINISH, tools=tools)
    done = _plain(writer.whole())["output"]
    for item, prefix in zip(done, ("fc_", "ctc_", "ctc_"), strict=True):
        assert item.pop("id").startswith(prefix)
        assert item.pop("status") == "completed"
    assert done == [
        {"type": "function_call", "call_id": "call_1", "namespace": "math", "name": "add", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "exec", "input": "ls\n"},
        {
            "type": "custom_tool_call",
            "call_id": "call_3",
            "namespace": "a",
            "name": "b",
            "input": '{"code":"x","why":""}',
        },
    ]
    written = said[6:10]
    assert _types(written) == [
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
    ]  # fmt: skip
    assert (written[0]["item"]["status"], written[0]["item"]["input"]) == ("in_progress", "")
    assert written[1]["delta"] == written[2]["input"] == written[3]["item"]["input"] == "ls\n"
    assert {data["output_index"] for data in written} == {1}
    assert written[1]["item_id"] == written[2]["item_id"] == written[3]["item"]["id"]


def test_a_response_that_says_nothing_is_an_empty_message() -> None:
    writer, said = _respond(PromptRead(7, 0, 0), FINISH)
    assert _plain(writer.whole())["output"][0]["content"][0]["text"] == ""
    assert _types(said)[2:5] == ["output_item.added", "content_part.added", "output_text.done"]


def test_a_response_that_fails() -> None:
    writer, said = _respond(PromptRead(7, 0, 0), Text("a"))
    (failed,) = _named([writer.failed(RuntimeError("no"))])
    assert failed["sequence_number"] == len(said)
    assert failed["response"]["error"] == {"code": "server_error", "message": "no"}
    assert failed["response"]["status"] == "failed"
    (failed,) = _named([writer.failed(PromptTooLongError(7, 4))])
    assert failed["response"]["error"]["code"] == "context_length_exceeded"


def test_a_response_shows_what_was_asked() -> None:
    tool = {"type": "function", "name": "add"}
    request = ResponseRequest(
        model="m",
        input="Hi",
        instructions="Short.",
        tools=[tool],
        tool_choice="required",
        max_output_tokens=5,
        top_p=0.5,
    )
    response = _plain(begun(request))
    assert response["instructions"] == "Short."
    assert response["tools"] == [{"description": None, "parameters": None, "strict": None, **tool}]
    assert (response["tool_choice"], response["max_output_tokens"], response["top_p"]) == ("required", 5, 0.5)
    assert response["text"] == {"format": {"type": "text"}}
    assert response["reasoning"] is None


def _message(*events: TurnEvent) -> tuple[Any, list[Any]]:
    writer = MessageWriter("m")
    said = _named([one for event in events for one in writer.add(event)])
    return _plain(writer.whole()), said


def test_a_message_in_events() -> None:
    message, said = _message(*TURN)
    block = ("content_block_start", "content_block_delta", "content_block_stop")
    assert _types(said) == [
        "message_start",
        *("content_block_start", *["content_block_delta"] * 2, "content_block_stop") * 2,
        *(*block, *block, "message_delta", "message_stop"),
    ]
    assert said[0]["message"]["content"] == []
    assert said[0]["message"]["stop_reason"] is None
    read = {"input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4}
    assert said[0]["message"]["usage"] == {**read, "output_tokens": 0}
    starts = [data["content_block"] for data in said if data["type"] == "content_block_start"]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        *[{"type": "tool_use", "id": "call_1", "name": "add", "input": {}}] * 2,
    ]
    assert [data["index"] for data in said[1:-2]] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    deltas = [data["delta"] for data in said if data["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "m."},
        {"type": "text_delta", "text": "It "},
        {"type": "text_delta", "text": "is"},
        *[{"type": "input_json_delta", "partial_json": '{"a":1}'}] * 2,
    ]
    assert said[-2]["delta"]["stop_reason"] == "tool_use"
    assert said[-2]["usage"] == message["usage"] == {**read, "output_tokens": 5}


def test_a_message_in_one_piece() -> None:
    message, _ = _message(*TURN)
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "It is"},
        *[{"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}}] * 2,
    ]
    assert message["stop_reason"] == "tool_use"


def test_a_message_that_says_nothing_or_was_cut() -> None:
    nothing, said = _message(PromptRead(7, 0, 0), FINISH)
    assert (nothing["content"], nothing["stop_reason"]) == ([], "end_turn")
    assert _types(said) == ["message_start", "message_delta", "message_stop"]
    assert _message(PromptRead(7, 0, 0), Text("a"), CUT)[0]["stop_reason"] == "max_tokens"


def test_a_message_that_a_stop_sequence_ended_names_it() -> None:
    stopped = FINISH._replace(stop="\n\n")
    message, said = _message(PromptRead(7, 0, 0), Text("a"), stopped)
    end = {"stop_reason": "stop_sequence", "stop_sequence": "\n\n"}
    assert said[-2]["delta"] == end
    assert {name: message[name] for name in end} == end
    message, said = _message(PromptRead(7, 0, 0), CALL, stopped)  # the client has to do something first
    assert said[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
