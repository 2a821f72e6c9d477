"""/api/chat: the order of its checks, its prompts and its answers."""

from typing import Any

import pytest

PATH = "/api/chat"
MODEL = "tiny"
HI = {"role": "user", "content": "Hi"}


def _text(tokens: list[int]) -> str:
    return "".join("^" if token == 1 else chr(token) for token in tokens)


def test_a_stream(server: Any) -> None:
    first, second, last = server.lines(PATH, model=MODEL, messages=[HI])

    assert list(first) == ["model", "created_at", "message", "done"]
    assert first["message"] == {"role": "assistant", "content": "Hel"}
    assert second["message"]["content"] == "lo"
    assert last["message"] == {"role": "assistant", "content": ""}
    assert list(last) == [
        *("model", "created_at", "message", "done", "done_reason"),
        *(
            "total_duration",
            "load_duration",
            "prompt_eval_count",
            "prompt_eval_duration",
            "eval_count",
            "eval_duration",
        ),
    ]
    assert (last["done"], last["done_reason"], last["prompt_eval_count"]) == (True, "stop", 20)


def test_one_object(server: Any) -> None:
    reply = server.post(PATH, model=MODEL, messages=[HI], stream=False).json()

    assert reply["message"] == {"role": "assistant", "content": "Hello"}
    assert reply["done"]


def test_the_conversation_is_rendered(server: Any) -> None:
    messages = [{"role": "SYSTEM", "content": "s"}, HI, {"role": "assistant"}, {"role": "tool", "content": "2"}]
    server.post(PATH, model=MODEL, messages=messages)

    assert _text(server.runner.prompts[0]) == "^<system>s<user>Hi<assistant><tool>2<assistant>"


def test_load_and_unload(server: Any) -> None:
    load = server.post(PATH, model=MODEL).json()
    unload = server.post(PATH, model=MODEL, messages=[], keep_alive=0, think=True).json()

    assert list(load) == ["model", "created_at", "message", "done", "done_reason"]
    assert (load["message"], load["done_reason"]) == ({"role": "assistant", "content": ""}, "load")
    assert unload["done_reason"] == "unload"
    assert server.scheduler.calls == [("lease", "tiny:latest", None), ("unload", "tiny:latest")]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"top_logprobs": -1, "model": "nope"}, 400, "top_logprobs must be between 0 and 20"),
        ({"model": ""}, 400, "model is required"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "Nope"}, 404, "model 'Nope' not found"),
        ({"think": True, "tools": [{}]}, 400, '"tiny" does not support thinking'),
        ({"model": "embed"}, 400, '"embed" does not support chat'),
        ({"tools": [{"type": "function"}]}, 400, "registry.ollama.ai/library/tiny:latest does not support tools"),
        (
            {"messages": [HI | {"images": ["aGk="]}]},
            400,
            "registry.ollama.ai/library/tiny:latest does not support vision",
        ),
        ({"options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
    ],
)
def test_refusals(server: Any, body: dict[str, object], status: int, text: str) -> None:
    assert server.refused(PATH, **{"model": MODEL, "messages": [HI], **body}) == (status, text)
    assert server.scheduler.calls == []


def test_a_body_is_required(server: Any) -> None:
    response = server.request("POST", PATH)
    assert (response.status_code, response.json()) == (400, {"error": "missing request body"})

    response = server.request("POST", PATH, content=b"null")
    assert (response.status_code, response.json()) == (400, {"error": "model is required"})


def test_any_content_type(server: Any) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        response = server.request(
            "POST", PATH, content=b'{"model":"tiny","messages":[]}', headers={"content-type": content_type}
        )
        assert response.status_code == 200


def test_the_oldest_messages_are_dropped(server: Any) -> None:
    server.with_window(50)
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "x" * 40},
        {"role": "assistant", "content": "y"},
        HI,
    ]
    server.post(PATH, model=MODEL, messages=messages)

    assert _text(server.runner.prompts[0]) == "^<system>s<assistant>y<user>Hi<assistant>"


def test_messages_that_may_not_be_dropped_or_do_not_fit_alone(server: Any) -> None:
    server.with_window(50)
    for body in ({"messages": [HI, {"role": "user", "content": "x" * 30}], "truncate": False},
                 {"messages": [HI, {"role": "user", "content": "x" * 50}]},
                 {"messages": [{"role": "user", "content": "x" * 50}]}):  # fmt: skip
        status, text = server.refused(PATH, model=MODEL, **body)
        assert status == 400
        assert "exceed_context_size_error" in text
    assert server.scheduler.leases == 0


def test_a_model_without_a_template(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template=None))

    server.post(PATH, model=path, messages=[{"role": "system", "content": "Be kind."}, HI])
    assert _text(server.runner.prompts[0]) == "^Be kind.\n\nHi"


def test_an_answer_that_is_begun_is_carried_on(server: Any, make_gguf: Any) -> None:
    reply = server.post(
        PATH, model=MODEL, messages=[HI, {"role": "assistant", "content": "Well, "}], stream=False
    ).json()
    server.post(PATH, model=MODEL, messages=[{"role": "assistant", "content": "Well, "}])
    server.post(PATH, model=MODEL, messages=[HI, {"role": "assistant", "content": ""}])
    server.post(PATH, model=str(make_gguf(template=None)), messages=[HI, {"role": "assistant", "content": "Well, "}])

    assert reply["message"]["content"] == "Hello"
    assert [_text(prompt) for prompt in server.runner.prompts] == [
        "^<user>Hi<assistant>Well, ",
        "^<assistant>Well, ",
        "^<user>Hi<assistant>",
        "^Hi\n\nWell, ",
    ]


def test_a_begun_answer_comes_after_the_thoughts(server: Any, make_gguf: Any) -> None:
    messages = [HI, {"role": "assistant", "content": "Well, "}]
    thinking = str(make_gguf(template="{{ messages[-1].content }}</think><assistant><think>\n"))
    harmony = "{{ messages[-1].content }}<|start|>assistant{# <|channel|> #}"
    replies = [
        server.post(PATH, model=path, messages=messages, stream=False, format=format).json()["message"]
        for path, format in ((thinking, None), (str(make_gguf("h.gguf", template=harmony)), "json"))
    ]

    assert [_text(prompt) for prompt in server.runner.prompts] == [
        "^Hi</think><assistant><think>\n\n</think>\n\nWell, ",
        "^Hi<|start|>assistant<|channel|>final<|message|>Well, ",
    ]
    assert replies == [{"role": "assistant", "content": "Hello"}] * 2
    assert server.runner.asked[1].preamble is None


def test_a_template_that_refuses(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template="{{ raise_exception('Roles must alternate') }}"))

    assert server.refused(PATH, model=path, messages=[HI]) == (
        400,
        "the model's chat template refused the request: Roles must alternate",
    )


THINKING = "{{ enable_thinking }}{{ reasoning_effort }}<think></think>{{ messages[-1].content }}"
CALLING = "{% for tool in tools or () %}{{ tool.function.name }}{% endfor %}<tool_call>{{ messages[-1].content }}"
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}}}}]
CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'


def test_thoughts(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template=THINKING))
    server.runner.script = ["<think>H", "m</think>", "Yes"]
    lines = server.lines(PATH, model=path, messages=[HI])
    whole = server.post(PATH, model=path, messages=[HI], stream=False, think="low").json()

    assert [line["message"] for line in lines] == [
        {"role": "assistant", "content": "", "thinking": "H"},
        {"role": "assistant", "content": "", "thinking": "m"},
        {"role": "assistant", "content": "Yes"},
        {"role": "assistant", "content": ""},
    ]
    assert whole["message"] == {"role": "assistant", "content": "Yes", "thinking": "Hm"}
    assert [_text(prompt)[1:8] for prompt in server.runner.prompts] == ["True<th", "Truelow"]


@pytest.mark.parametrize("thinking", [True, False])
def test_a_stop_string_ends_the_answer_not_the_thoughts_before_it(server: Any, make_gguf: Any, thinking: bool) -> None:
    path = str(make_gguf(template=THINKING))
    server.runner.script = ["<think>\nH", "m.\n", "Hm.</think>", "\n\nIt is", " 4.\n", "Really."]
    reply = server.post(PATH, model=path, messages=[HI], stream=False, think=thinking, options={"stop": ["\n"]}).json()

    assert reply["message"]["content"] == "It is 4."
    assert reply["message"].get("thinking") == ("Hm.\nHm." if thinking else None)
    assert reply["done_reason"] == "stop"
    assert server.runner.cancelled.is_set()


def test_what_is_thought_anyway_is_not_shown(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template="<think>\n{# </think> #}"))
    server.runner.script = ["<think>Hm</think>", "Yes"]
    whole = server.post(PATH, model=path, messages=[HI], stream=False, think=False, logprobs=True).json()

    assert whole["message"] == {"role": "assistant", "content": "Yes"}
    assert _text(server.runner.prompts[0]) == "^<think>\n\n</think>\n\n"


def test_a_schema_binds_after_the_thoughts(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template=THINKING))
    for think in (True, False):
        server.post(PATH, model=path, messages=[HI], format="json", think=think)
    thinking, silent = server.runner.asked

    assert thinking.schema == silent.schema == '{"type": "object"}'
    assert thinking.preamble.opening == "<think>"
    assert thinking.preamble.closings == ["</think>"]
    assert silent.preamble is None
    assert thinking.visible == ("<think>", "</think>")


def test_tool_calls(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template=CALLING))
    server.runner.script = ["I look. <tool", CALL[5:], CALL]
    lines = server.lines(PATH, model=path, messages=[HI], tools=TOOLS)
    messages = [line["message"] for line in lines]
    calls = [call for message in messages for call in message.get("tool_calls", ())]

    assert messages[0] == {"role": "assistant", "content": "I look."}
    assert messages[1]["content"] == ""
    assert [call["function"] for call in calls] == [
        {"index": index, "name": "f", "arguments": {"a": 1}} for index in (0, 1)
    ]
    assert len({call["id"] for call in calls}) == 2
    assert (lines[-1]["done_reason"], "tool_calls" in messages[-1]) == ("stop", False)

    whole = server.post(PATH, model=path, messages=[HI], tools=TOOLS, stream=False).json()["message"]
    assert (list(whole), whole["content"]) == (["role", "content", "tool_calls"], "I look.")
    assert [call["function"]["index"] for call in whole["tool_calls"]] == [0, 1]
    assert _text(server.runner.prompts[0]).startswith("^f<tool_call>")


def test_a_template_of_its_own_for_tools(server: Any, make_gguf: Any) -> None:
    plain = "{{ messages[-1].content }}"
    templates = [{"name": "default", "template": plain}, {"name": "tool_use", "template": CALLING}]
    path = str(make_gguf(template=templates))
    server.runner.script = [CALL]
    message = server.post(PATH, model=path, messages=[HI], tools=TOOLS, stream=False).json()["message"]
    server.post(PATH, model=path, messages=[HI])

    assert message["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert [_text(prompt) for prompt in server.runner.prompts] == ["^f<tool_call>Hi", "^Hi"]
    assert server.post("/api/show", model=path).json()["capabilities"] == ["completion", "tools"]


def test_without_tools_there_are_no_calls(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template=CALLING))
    server.runner.script = [CALL]
    whole = server.post(PATH, model=path, messages=[HI], stream=False).json()

    assert whole["message"] == {"role": "assistant", "content": CALL}
    assert server.runner.asked[0].visible == ()


def test_dropped_messages_are_said(server: Any) -> None:
    server.with_window(50)
    messages = [{"role": "user", "content": "x" * 40}, {"role": "assistant", "content": "y"}, HI]
    for stream in (True, False):
        headers = server.post(PATH, model=MODEL, messages=messages, stream=stream).headers
        assert headers["swell-dropped-messages"] == "1"
        assert int(headers["swell-dropped-tokens"]) >= 40
    assert "swell-dropped-messages" not in server.post(PATH, model=MODEL, messages=[HI]).headers


def test_tools_that_make_no_sense(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template=CALLING))
    nonsense: list[Any] = [[1], [{"function": "f"}], [{"function": {"parameters": []}}], {}]
    for tools in nonsense:
        assert server.refused(PATH, model=path, messages=[HI], tools=tools)[0] == 400
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert server.refused(PATH, model=path, messages=[message])[0] == 400
