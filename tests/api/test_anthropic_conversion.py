"""Anthropic's bodies become Ollama's."""

import base64
from typing import Any

import msgspec
import pytest

from swell.api.anthropic.bodies import CountRequest, MessagesRequest
from swell.api.anthropic.conversion import count_body, messages_body, tools_and_required
from swell.api.ollama.bodies import ChatBody
from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec

USER = {"role": "user", "content": "Hi"}
IMAGE = base64.b64encode(b"image").decode()
IMAGE_BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}


def _body(*messages: object, **fields: object) -> ChatBody:
    raw = {"model": "m", "max_tokens": 9, "messages": list(messages or [USER]), **fields}
    return messages_body(msgspec.convert(raw, MessagesRequest))


def test_options_are_the_models_unless_given() -> None:
    assert _body().options == {"num_predict": 9}
    body = _body(temperature=0.5, top_p=0.6, top_k=7, stop_sequences=["a"], stream=True)
    assert body.options == {"num_predict": 9, "temperature": 0.5, "top_p": 0.6, "top_k": 7, "stop": ["a"]}
    assert body.stream


def test_system() -> None:
    blocks = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]
    for system, text in (("ab", "ab"), (blocks, "ab")):
        assert _body(system=system).messages == [
            Message(role="system", content=text),
            Message(role="user", content="Hi"),
        ]
    assert _body({"role": "system", "content": "c"}).messages == [Message(role="system", content="c")]


BILLING = "x-anthropic-billing-header: cc_version=2.1.15.a0b; cc_entrypoint=cli; cch=a1b2c;"


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ([BILLING, "You help."], "You help."),
        ([BILLING + "\n", "You help.", " Be kind."], "You help. Be kind."),
        (["You help.", BILLING], "You help."),
        (BILLING + "\nYou help.\n", "You help.\n"),
        (BILLING + "You help.", "You help."),
        (BILLING.removesuffix(";") + "\nYou help.", "You help."),
        ("You help.\n" + BILLING + "\nBe kind.", "You help.\nBe kind."),
        ("What is the x-anthropic-billing-header: cch=1;?", "What is the x-anthropic-billing-header: cch=1;?"),
        ([BILLING], None),
        (BILLING, None),
    ],
)
def test_the_header_for_accounting_is_no_part_of_the_prompt(system: str | list[str], text: str | None) -> None:
    sent = system if isinstance(system, str) else [{"type": "text", "text": one} for one in system]
    expected = [] if text is None else [Message(role="system", content=text)]
    assert _body(system=sent).messages == [*expected, Message(role="user", content="Hi")]


@pytest.mark.parametrize("system", [{"type": "text", "text": "a"}, ["a"], 7, [[]]])
def test_a_system_prompt_of_another_kind_is_refused(system: object) -> None:
    with pytest.raises(InvalidRequestError, match="content must be a text or a list of blocks"):
        _body(system=system)


def test_blocks() -> None:
    body = _body(
        {"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE_BLOCK, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "c"},
                {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "t2", "name": "now"},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "d"},
                {"type": "tool_result", "tool_use_id": "t1", "content": "2"},
                {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "3"}, IMAGE_BLOCK]},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t3"}]},
    )
    calls = [
        ToolCall(id="t1", function=ToolFunction(name="add", arguments={"a": 1})),
        ToolCall(id="t2", function=ToolFunction(index=1, name="now")),
    ]
    assert body.messages == [
        Message(role="user", content="ab", images=[IMAGE]),
        Message(role="assistant", content="c", thinking="Hm.", tool_calls=calls),
        Message(role="tool", content="2", tool_name="add", tool_call_id="t1"),
        Message(role="tool", content="3", images=[IMAGE], tool_name="now", tool_call_id="t2"),
        Message(role="user", content="d"),
        Message(role="tool", tool_call_id="t3"),
    ]


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, True),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, False),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "high"),
        ({"output_config": {"effort": "max"}}, "max"),
    ],
)
def test_thinking(fields: dict[str, Any], think: object) -> None:
    assert _body(**fields).think == think


def test_format() -> None:
    schema = {"type": "object"}
    assert _body(output_config={"format": {"type": "json_schema", "schema": schema}}).format == schema
    assert _body(output_format={"type": "json_schema", "schema": schema}).format == schema
    assert _body().format is None
    with pytest.raises(InvalidRequestError, match="must have a schema"):
        _body(output_config={"format": {"type": "json_schema"}})


def test_tools() -> None:
    tool = {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}
    body = _body(tools=[tool, {"type": "web_search_20250305", "name": "web_search"}])
    assert body.tools == [Tool(function=ToolSpec(name="add", description="Adds.", parameters={"type": "object"}))]


def test_a_tool_has_a_name() -> None:
    with pytest.raises(InvalidRequestError, match="no name"):
        _body(tools=[{"input_schema": {"type": "object"}}])


def test_documents_that_are_text_are_read() -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}
    other = {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [document, {"type": "text", "text": "b"}]}
    assert _body({"role": "user", "content": [document, other, {"type": "text", "text": "c"}, result]}).messages == [
        Message(role="tool", content="ab", tool_call_id="t"),
        Message(role="user", content="ac"),
    ]


ADD, SUB = (Tool(function=ToolSpec(name=name)) for name in ("add", "sub"))


@pytest.mark.parametrize(
    ("choice", "tools", "must_call"),
    [
        (None, [ADD, SUB], []),
        ({"type": "auto"}, [ADD, SUB], []),
        ({"type": "none"}, [], []),
        ({"type": "any"}, [ADD, SUB], ["add", "sub"]),
        ({"type": "tool", "name": "sub"}, [ADD, SUB], ["sub"]),
        ("any", [ADD, SUB], []),
    ],
)
def test_tool_choice(choice: object, tools: list[Tool], must_call: list[str]) -> None:
    assert tools_and_required([ADD, SUB], choice) == (tools, must_call)


def test_tool_choices_that_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="mul"):
        tools_and_required([ADD, SUB], {"type": "tool", "name": "mul"})
    with pytest.raises(InvalidRequestError, match="no tools"):
        tools_and_required([], {"type": "any"})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"model": ""}, "model is required"),
        ({"model": "", "max_tokens": 0}, "model is required"),
        ({"max_tokens": 0}, "max_tokens is required and must be positive"),
        ({"max_tokens": -1, "messages": []}, "max_tokens is required and must be positive"),
        ({"messages": []}, "messages is required"),
    ],
)
def test_what_is_required(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{text}$"):
        _body(**fields)


def test_counting_needs_no_limit() -> None:
    assert count_body(msgspec.convert({"model": "m", "messages": [USER]}, CountRequest)).options == {}


@pytest.mark.parametrize(
    "content",
    [
        None, 5, ["a"], [{"type": "text"}], [{"type": "text", "text": 5}], [{"type": "tool_use", "name": "a"}],
        [{"type": "tool_use", "id": "a", "name": "a", "input": []}], [{"type": "tool_result"}],
        [{"type": "tool_result", "tool_use_id": "a", "content": 5}],
        [{"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}],
        [{"type": "image", "source": {"type": "base64", "data": "%"}}],
    ],
)  # fmt: skip
def test_content_that_is_refused(content: object) -> None:
    with pytest.raises(InvalidRequestError):
        _body({"role": "user", "content": content})
