"""OpenAI's bodies become Ollama's."""

import base64
from typing import Any

import msgspec
import pytest

from swell.api.ollama.bodies import ChatBody
from swell.api.openai.bodies import ChatRequest, CompletionRequest, ResponseRequest
from swell.api.openai.conversion import chat_body, generate_body, tools_and_required
from swell.api.openai.embeddings import texts_of
from swell.api.openai.items import response_body
from swell.errors import InvalidRequestError, UnsupportedError
from swell.text.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
IMAGE = base64.b64encode(b"image").decode()
CALLED = ToolCall(id="call_1", function=ToolFunction(name="add", arguments={"a": 1}))


def _chat(*messages: object, **fields: object) -> ChatBody:
    return chat_body(msgspec.convert({"messages": list(messages or [USER]), **fields}, ChatRequest))


def _respond(input: object, **fields: object) -> ChatBody:
    return response_body(msgspec.convert({"input": input, **fields}, ResponseRequest))


def _tool(name: str) -> Tool:
    return msgspec.convert({"type": "function", "function": {"name": name}}, Tool)


def test_temperature_and_top_p_are_1_unless_given() -> None:
    assert _chat().options == {"temperature": 1.0, "top_p": 1.0}


def test_all_options() -> None:
    body = _chat(
        model="m", max_tokens=5, temperature=0, top_p=0.5, seed=3, stop="a", frequency_penalty=0.1, presence_penalty=0.2
    )
    assert body.model == "m"
    assert not body.stream
    assert body.options == {
        "num_predict": 5,
        "temperature": 0,
        "top_p": 0.5,
        "seed": 3,
        "stop": ["a"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
    }
    assert _chat(stop=["a", "b"]).options["stop"] == ["a", "b"]
    assert _chat(max_tokens=5, max_completion_tokens=6).options["num_predict"] == 6


@pytest.mark.parametrize(
    ("response_format", "format"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}, {"type": "object"}),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, {}),
        ({"type": "json_schema", "schema": {"type": "array"}}, {"type": "array"}),  # as for llama.cpp's server
        ({"type": "json_object", "schema": {"type": "array"}}, {"type": "array"}),
        ({"type": "grammar"}, None),
    ],
)
def test_formats(response_format: object, format: object) -> None:
    assert _chat(response_format=response_format).format == format


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("max", "max"),
        ("xhigh", "max"), ("ultra", "max"), (None, None),
    ],
)  # fmt: skip
def test_efforts(effort: str | None, think: object) -> None:
    assert _chat(reasoning_effort=effort).think == think
    assert _chat(reasoning={"effort": effort}).think == think
    assert _respond("Hi", reasoning={"effort": effort}).think == think


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": {"thinking": False}}, False),
        ({"chat_template_kwargs": {"enable_thinking": True, "other": 1}}, None),  # as models do unless told not to
        ({"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "high"}, "high"),
    ],
)
def test_thinking_turned_off_as_for_other_servers(fields: dict[str, Any], think: object) -> None:
    assert _chat(**fields).think == think


def test_the_parts_of_a_content_stay_one_message() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "text", "text": "And this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
        {"type": "image_url", "image_url": f"data:;base64,{IMAGE}"},
    ]
    assert _chat({"role": "user", "content": parts}).messages == [
        Message(role="user", content="What is this?\nAnd this?", images=[IMAGE, IMAGE])
    ]
    assert _chat({"role": "user", "content": []}).messages == [Message(role="user")]


def test_calls_and_their_results() -> None:
    body = _chat(
        USER,
        {"role": "assistant", "content": None, "reasoning": "Hm.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
        {"role": "tool", "tool_call_id": "call_9", "content": "3", "name": "other"},
    )
    assert body.messages[1:] == [
        Message(role="assistant", thinking="Hm.", tool_calls=[CALLED]),
        Message(role="tool", content="2", tool_name="add", tool_call_id="call_1"),
        Message(role="tool", content="3", tool_name="other", tool_call_id="call_9"),
    ]


def test_half_a_surrogate_pair_in_the_arguments_of_a_call_is_replaced() -> None:
    function = {"name": "f", "arguments": r"""{"\udc00": "cut \ud83d, \ud83d\ude00"}"""}
    body = _chat(USER, {"role": "assistant", "tool_calls": [{"function": function}]})
    item = {"type": "function_call", **function}
    for message in (body.messages[-1], _respond([item]).messages[-1]):
        assert message.tool_calls[0].function.arguments == {"\ufffd": "cut \ufffd, \U0001f600"}


def test_the_developers_messages_are_the_systems() -> None:
    assert _chat({"role": "developer", "content": "a"}).messages == [Message(role="system", content="a")]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user"}, "invalid message content type: <nil>"),
        ({"role": "user", "content": 5}, "invalid message content type: int"),
        ({"role": "user", "content": [5]}, "invalid message format"),
        ({"role": "user", "content": [{"type": "video"}]}, "invalid message format"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
         "image URLs are not currently supported, please use base64 encoded data instead"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "data:text/html;base64,aGk="}]},
         "invalid image input"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,%%"}]},
         "invalid image input"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]},
         "invalid tool call arguments"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "5"}}]},
         "invalid tool call arguments"),
    ],
)  # fmt: skip
def test_messages_that_are_refused(message: object, text: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{text}$"):
        _chat(message)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 0}, {"n": 129}, {"reasoning_effort": "huge"}, {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        {"tools": [{"type": "function"}]}, {"tools": [{"type": "function", "function": {"description": "x"}}]},
    ],
)  # fmt: skip
def test_wishes_that_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        _chat(**fields)


def test_tools_are_functions() -> None:
    schema = {"type": "object"}
    nested = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": schema}}
    flat = {"type": "function", "name": "sub", "description": "Subtracts.", "parameters": schema}
    tools = _chat(
        tools=[nested, flat, {"function": {"name": "mul"}}, {"type": "custom", "custom": {"name": "x"}}]
    ).tools
    assert [tool.function for tool in tools] == [
        ToolSpec(name="add", description="Adds.", parameters=schema),
        ToolSpec(name="sub", description="Subtracts.", parameters=schema),
        ToolSpec(name="mul"),
    ]


@pytest.mark.parametrize(
    ("message", "same"),
    [
        ({"content": None, "reasoning": "Hm."}, Message(role="assistant", thinking="Hm.")),
        ({"content": "a", "reasoning_content": "Hm."}, Message(role="assistant", content="a", thinking="Hm.")),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, Message(role="assistant", content="No.")),
        (
            {"content": [{"type": "output_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            Message(role="assistant", content="a\nb"),
        ),
        (
            {"content": [{"type": "thinking", "thinking": "H"}, {"type": "reasoning", "text": "m."}]},
            Message(role="assistant", thinking="Hm."),
        ),
        (
            {"tool_calls": [{"id": "call_1", "function": {"name": "add", "arguments": {"a": 1}}}]},
            Message(role="assistant", tool_calls=[CALLED]),
        ),
        (
            {"tool_calls": [{"function": {"name": "add", "arguments": None}}]},
            Message(role="assistant", tool_calls=[ToolCall(function=ToolFunction(name="add"))]),
        ),
        ({"role": "tool", "content": None, "tool_call_id": "x"}, Message(role="tool", tool_call_id="x")),
    ],
)
def test_what_other_servers_clients_send(message: dict[str, Any], same: Message) -> None:
    assert _chat({"role": "assistant", **message}).messages == [same]


def test_no_messages() -> None:
    with pytest.raises(InvalidRequestError, match=r"^\[\] is too short - 'messages'$"):
        chat_body(ChatRequest())


def test_sound_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="audio"):
        _chat({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": IMAGE}}]})


ADD, SUB = _tool("add"), _tool("sub")
CHOSEN_SUB = {"type": "function", "function": {"name": "sub"}}


@pytest.mark.parametrize(
    ("choice", "tools", "must_call"),
    [
        (None, [ADD, SUB], []),
        ("auto", [ADD, SUB], []),
        ("none", [], []),
        ("required", [ADD, SUB], ["add", "sub"]),
        ("any", [ADD, SUB], ["add", "sub"]),
        ({"type": "function", "function": {"name": "sub"}}, [ADD, SUB], ["sub"]),
        ({"type": "function", "name": "add"}, [ADD, SUB], ["add"]),
        ({"type": "allowed_tools"}, [ADD, SUB], []),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CHOSEN_SUB]}}, [SUB], []),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "sub"}]}, [SUB], []),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CHOSEN_SUB]}}, [ADD, SUB], ["sub"]),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]},
         [ADD, SUB], ["add"]),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, [], []),
    ],
)  # fmt: skip
def test_tool_choice(choice: object, tools: list[Tool], must_call: list[str]) -> None:
    assert tools_and_required([ADD, SUB], choice) == (tools, must_call)


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "mul"}}, {"type": "function"}, {"type": "function", "name": 5},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "mul"}]},
        {"type": "allowed_tools", "mode": "required", "tools": []},
        {"type": "allowed_tools", "mode": "always", "tools": [{"type": "function", "name": "add"}]},
    ],
)  # fmt: skip
def test_tool_choices_that_are_refused(choice: object) -> None:
    with pytest.raises(InvalidRequestError, match="tool_choice"):
        tools_and_required([ADD, SUB], choice)
    with pytest.raises(InvalidRequestError, match="tool_choice"):
        tools_and_required([], "required")


def test_a_completion() -> None:
    body = generate_body(CompletionRequest(model="m", prompt="a", suffix="b", max_tokens=3, logprobs=2))
    assert (body.model, body.prompt, body.suffix, body.raw) == ("m", "a", "b", False)
    assert body.options == {"num_predict": 3, "temperature": 1.0, "top_p": 1.0}
    assert (body.logprobs, body.top_logprobs) == (True, 2)
    assert not generate_body(CompletionRequest(prompt="a")).logprobs


def test_a_completion_has_one_prompt_that_may_be_in_a_list() -> None:
    assert generate_body(CompletionRequest(prompt=["a"])).prompt == "a"
    for prompts in ([], ["a", "b"]):
        with pytest.raises(InvalidRequestError, match=f"exactly one prompt, not {len(prompts)}"):
            generate_body(CompletionRequest(prompt=prompts))


def test_likelihoods_of_a_prompt_are_refused() -> None:
    assert generate_body(CompletionRequest(prompt="a", echo=True)).prompt == "a"
    with pytest.raises(UnsupportedError, match="echo with logprobs"):
        generate_body(CompletionRequest(prompt="a", echo=True, logprobs=0))


def test_a_response_of_a_text() -> None:
    body = _respond("Hi", model="m", instructions="Be short.", max_output_tokens=4, temperature=0.5)
    assert body.messages == [Message(role="system", content="Be short."), Message(role="user", content="Hi")]
    assert body.options == {"num_predict": 4, "temperature": 0.5}
    schema = {"type": "object"}
    assert _respond("Hi", text={"format": {"type": "json_schema", "name": "x", "schema": schema}}).format == schema
    assert _respond("Hi", text={"format": {"type": "json_object"}}).format == "json"


def test_a_response_of_items() -> None:
    body = _respond(
        [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "Hm."},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
            {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a": 1}'},
            {"type": "web_search_call", "id": "ws_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "2"},
            {"type": "reasoning", "summary": [], "encrypted_content": "Aha."},
            {"type": "function_call", "call_id": "call_2", "name": "add", "arguments": ""},
        ]
    )
    again = ToolCall(id="call_2", function=ToolFunction(name="add"))
    assert body.messages == [
        Message(role="user", content="ab"),
        Message(role="assistant", content="c", thinking="Hm.", tool_calls=[CALLED]),
        Message(role="tool", content="2", tool_name="add", tool_call_id="call_1"),
        Message(role="assistant", thinking="Aha.", tool_calls=[again]),
    ]


def test_a_response_of_items_of_other_servers_and_tools() -> None:
    body = _respond(
        [
            {"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]},
            {"role": "user", "content": "a"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "S"}], "content": None},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "exec", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "b"},
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "T"}], "summary": []},
            {"type": "function_call", "call_id": "call_3", "namespace": "math", "name": "add", "arguments": {"a": 1}},
            {"type": "function_call_output", "call_id": "call_3", "output": {"sum": 1}},
            *({"type": f"{kind}_call", "id": "x"} for kind in ("web_search", "tool_search", "mcp", "local_shell")),
        ]
    )
    called = ToolCall(id="call_2", function=ToolFunction(name="exec", arguments={"input": "ls"}))
    added = ToolCall(id="call_3", function=ToolFunction(name="math.add", arguments={"a": 1}))
    assert body.messages == [
        Message(role="user", content="a"),
        Message(role="assistant", thinking="S", tool_calls=[called]),
        Message(role="tool", content="b", tool_name="exec", tool_call_id="call_2"),
        Message(role="assistant", thinking="T", tool_calls=[added]),
        Message(role="tool", content='{"sum":1}', tool_name="math.add", tool_call_id="call_3"),
    ]
    assert [tool.function.name for tool in body.tools] == ["exec"]


@pytest.mark.parametrize(
    "input",
    [
        None, "", [], 5, [5], [{}], [{"type": "item_reference", "id": "x"}], [{"role": 5, "content": "a"}],
        [{"role": "user", "content": 5}], [{"role": "user", "content": [5]}],
        [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}],
        [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a/b.png"}]}],
        [{"type": "function_call", "name": "f", "arguments": "{"}], [{"type": ["message"]}],
    ],
)  # fmt: skip
def test_input_that_is_refused(input: object) -> None:
    with pytest.raises(InvalidRequestError):
        _respond(input)


@pytest.mark.parametrize("field", [{"previous_response_id": "a"}, {"conversation": {"id": "a"}}, {"background": True}])
def test_what_needs_a_server_that_remembers_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(UnsupportedError, match=next(iter(field))):
        _respond("Hi", **field)


def test_tools_of_a_response() -> None:
    function = {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    space = {"type": "namespace", "name": "math", "tools": [function]}
    tools = _respond("Hi", tools=[function, {"type": "web_search"}, space]).tools
    assert [tool.function.name for tool in tools] == ["add", "math.add"]
    assert tools[0].function.parameters == {"type": "object"}
    for bad in ({**function, "parameters": "x"}, {"type": "function"}, {"type": "custom"}):
        with pytest.raises(InvalidRequestError):
            _respond("Hi", tools=[bad])


def test_tools_of_a_response_that_take_text() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
    patch = {"type": "custom", "name": "patch", "description": "Edits.", "format": grammar}
    (tool,) = _respond("Hi", tools=[patch, {**patch, "description": "Again."}]).tools
    assert tool.function == ToolSpec(
        name="patch",
        description="Edits.",
        parameters={
            "type": "object",
            "properties": {
                "input": {"type": "string", "description": "Text that follows this grammar (lark):\nstart: /.+/"}
            },
            "required": ["input"],
        },
    )
    tools, must_call = tools_and_required([tool], {"type": "custom", "name": "patch"})
    assert (tools, must_call) == ([tool], ["patch"])


def test_tools_of_a_response_wherever_they_stand() -> None:
    def spaces(*names: str) -> list[dict[str, object]]:
        return [{"type": "namespace", "name": name, "tools": [{"type": "function", "name": "f"}]} for name in names]

    items: list[dict[str, object]] = [
        {"type": "additional_tools", "role": "developer", "tools": spaces("functions", "a")},
        {"type": "tool_search_output", "call_id": "x", "tools": [*spaces("b"), {"type": "web_search"}, 5]},
        {"type": "additional_tools", "tools": None},
        {"role": "user", "content": "Hi"},
    ]
    assert [tool.function.name for tool in _respond(items, tools=spaces("c")).tools] == ["c.f", "f", "a.f", "b.f"]


def test_texts_to_embed() -> None:
    assert texts_of("") == [""]
    assert texts_of(["a", "b"]) == ["a", "b"]
    for bad, text in (
        (None, "invalid input"),
        ([], "invalid input"),
        ([1], "invalid input type"),
        (5, "invalid input type"),
    ):
        with pytest.raises(InvalidRequestError, match=f"^{text}$"):
            texts_of(bad)
