"""Conversations of any shape, for templates that demand something of roles."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import InvalidRequestError
from swell.server.prompts.messages import Message, ToolCall, ToolFunction
from swell.server.prompts.roles import forms
from swell.server.sandbox.job import Render

WRITE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %}"
)
WRITE += "{% endfor %}<assistant>"


def _unless(condition: str, reason: str, *, each: bool = True) -> str:
    check = f"{{% if not ({condition}) %}}{{{{ raise_exception('{reason}') }}}}{{% endif %}}"
    return f"{{% for m in messages %}}{check}{{% endfor %}}" if each else check


NO_SYSTEM = _unless("m.role != 'system'", "no system role")
SYSTEM_FIRST = _unless("m.role != 'system' or loop.first", "system comes first")
ONE_CALL = _unless("not m.tool_calls or m.tool_calls | length == 1", "one call at once")
NO_TOOLS = _unless("m.role != 'tool' and not m.tool_calls", "no tools")
KNOWN = _unless("m.role in ('system', 'user', 'assistant', 'tool')", "unknown role")
ASKED = _unless("messages | selectattr('role', 'equalto', 'user') | list", "no user", each=False)
USER_FIRST = _unless(
    "messages | rejectattr('role', 'equalto', 'system') | map(attribute='role') | first == 'user'",
    "the user comes first",
    each=False,
)
BY_PLACE = (
    "{% set rest = messages[1:] if messages[0].role == 'system' else messages %}{% for m in rest %}"
    "{% if m.role != 'tool' and not m.tool_calls and (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
"""Alternation as Llama 2 and Gemma demand it."""
WITHOUT_CALLS = (
    "{% set ns = namespace(place=0) %}{% for m in messages %}"
    "{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}"
    "{% if (m.role == 'user') != (ns.place % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.place = ns.place + 1 %}{% endif %}{% endfor %}"
)
"""As Mistral does."""
STRICT = _unless("m.role == ('user' if loop.index0 % 2 == 0 else 'assistant')", "user, assistant, user")
TEMPLATES = [
    demands + WRITE
    for demands in (
        *("", NO_SYSTEM, SYSTEM_FIRST, ONE_CALL, NO_TOOLS, KNOWN, ASKED, USER_FIRST, BY_PLACE, WITHOUT_CALLS, STRICT),
        NO_SYSTEM + BY_PLACE,
        NO_SYSTEM + WITHOUT_CALLS + ONE_CALL,
        KNOWN + SYSTEM_FIRST + ASKED + ONE_CALL,
        SYSTEM_FIRST + NO_TOOLS + BY_PLACE + USER_FIRST,
    )
]
SILENT = (
    "{% if messages[0].role == 'system' %}<system>{{ messages[0].content }}{% endif %}"
    "{% for m in messages %}{% if m.role in ('user', 'assistant') %}<{{ m.role }}>{{ m.content }}{% endif %}"
    "{% endfor %}"
)
"""Leaves out what it doesn't expect."""

_CALLS = st.lists(
    st.builds(lambda name: ToolCall(function=ToolFunction(name=name, arguments={"a": 1})), st.sampled_from("fg")),
    max_size=3,
)
_MESSAGES = st.lists(
    st.one_of(
        st.builds(
            Message,
            role=st.sampled_from(["system", "developer", "user", "User"]),
            content=st.sampled_from(["Ask", "Beg", ""]),
        ),
        st.builds(Message, role=st.just("assistant"), content=st.sampled_from(["", "Do"]), tool_calls=_CALLS),
        st.builds(Message, role=st.just("tool"), content=st.sampled_from("123"), tool_name=st.sampled_from(["", "f"])),
    ),
    min_size=1,
    max_size=8,
)


def _run(template: str, messages: list[Message]) -> str:
    return Render(template=template, messages=messages, bos_token="", eos_token="", tools=[], thinking=None).run()


def _rendered(template: str, *messages: dict[str, Any]) -> str:
    return _run(template, msgspec.convert(list(messages), list[Message]))


def _said(role: str, content: str, *calls: str) -> dict[str, Any]:
    return {"role": role, "content": content, "tool_calls": [{"function": {"name": name}} for name in calls]}


@given(st.sampled_from(TEMPLATES), _MESSAGES)
def test_any_conversation_fits_any_template(template: str, messages: list[Message]) -> None:
    text = _run(template, messages)
    for message in messages:
        assert message.content in text
    if NO_TOOLS not in template and STRICT not in template:
        calls = [call.function.name for message in messages for call in message.tool_calls]
        assert sum(text.count(name) for name in ("[f]", "[g]")) + text.count('{"name"') == len(calls)


@given(_MESSAGES)
def test_what_a_template_takes_is_left_as_it_is(messages: list[Message]) -> None:
    first, *others = list(forms(messages))
    assert first == messages
    assert len(others) < 72
    assert all(form != messages for form in others)


@pytest.mark.parametrize(
    ("demands", "messages", "text"),
    [
        (BY_PLACE, [_said("user", "a"), _said("user", "b")], "<user>a\n\nb"),
        (BY_PLACE, [_said("assistant", "a"), _said("user", "b")], "<user><assistant>a<user>b"),
        (NO_SYSTEM, [_said("system", "s"), _said("user", "a")], "<user>s\n\na"),
        (NO_SYSTEM, [_said("system", "s"), _said("assistant", "a")], "<user>s<assistant>a"),
        (KNOWN, [_said("developer", "s"), _said("user", "a")], "<system>s<user>a"),
        (SYSTEM_FIRST, [_said("system", "s"), _said("user", "a"), _said("system", "t")], "<system>s\n\nt<user>a"),
        (
            ONE_CALL,
            [_said("user", "a"), _said("assistant", "b", "f", "g"), _said("tool", "1"), _said("tool", "2")],
            "<user>a<assistant>b[f]<tool>1<assistant>[g]<tool>2",
        ),
        (
            WITHOUT_CALLS,
            [_said("user", "a"), _said("assistant", "", "f"), _said("tool", "1"), _said("user", "b")],
            "<user>a<assistant>[f]<tool>1\n\nb",
        ),
        (
            NO_TOOLS,
            [_said("user", "a"), _said("assistant", "b", "f"), _said("tool", "1")],
            '<user>a<assistant>b\n{"name": "f", "arguments": {}}<user>1',
        ),
        ("", [_said("user", "a"), _said("user", "b"), _said("system", "s")], "<user>a<user>b<system>s"),
    ],
)
def test_the_least_that_a_template_demands_is_changed(demands: str, messages: list[dict[str, Any]], text: str) -> None:
    assert _rendered(demands + WRITE, *messages) == f"{text}<assistant>"


def test_results_stay_with_the_calls_that_they_name() -> None:
    calling: dict[str, Any] = {"role": "assistant", "tool_calls": [
        {"id": "1", "function": {"name": "f"}}, {"id": "2", "function": {"name": "g"}}]}  # fmt: skip
    results = [{"role": "tool", "content": f"of {id}", "tool_call_id": id} for id in ("2", "1", "3")]
    assert _rendered(ONE_CALL + WRITE, calling, *results) == (
        "<assistant>[f]<tool>of 1<assistant>[g]<tool>of 2<tool>of 3<assistant>"
    )


def test_nothing_is_left_out_in_silence() -> None:
    assert _rendered(SILENT, _said("user", "A"), _said("system", "S")) == "<system>S<user>A"
    assert _rendered("{{ messages | length }}", _said("user", "a"), _said("user", "b")) == "2"  # it never writes any


def test_a_template_that_refuses_all_forms_says_what_it_said_first() -> None:
    with pytest.raises(InvalidRequestError, match="2 messages"):
        _rendered("{{ raise_exception(messages | length ~ ' messages') }}", _said("user", "a"), _said("user", "b"))


def test_a_long_conversation_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a template that leaves something out would take more than it may, and be refused from then on."""
    tried: list[Sequence[Message]] = []

    def render(_job: Render, messages: Sequence[Message]) -> str:
        tried.append(messages)
        return "nothing"

    monkeypatch.setattr(Render, "_render", render)
    roles = ("assistant", "tool", "user", "system", "user", "system", "assistant")
    calls = [ToolCall(function=ToolFunction(name="f"))] * 2
    short = [Message(role=role, content="x", tool_calls=calls if role == "assistant" else []) for role in roles]
    _run("", short)
    assert len(tried) == len(list(forms(short))) > 16

    tried.clear()
    _run("", [msgspec.structs.replace(message, content="x" * 4_000_000) for message in short])
    assert len(tried) == 16


LOOK = {"name": "look", "parameters": {"type": "object"}}
OPENAI_LOOK = [{"type": "function", "function": LOOK}]
USED = [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]
RESULT = [{"type": "tool_result", "tool_use_id": "t1", "content": "20"}, {"type": "text", "text": "and now?"}]
TWICE = [_said("user", "x"), _said("assistant", "", "look", "look"), _said("tool", "1"), _said("tool", "2")]


@pytest.mark.parametrize(
    ("demands", "path", "body"),
    [
        (NO_SYSTEM, "/api/generate", {"prompt": "a", "system": "s"}),
        (KNOWN, "/api/chat", {"messages": [_said("developer", "s"), _said("user", "a")]}),
        (ONE_CALL, "/api/chat", {"messages": TWICE, "tools": OPENAI_LOOK}),
        (
            BY_PLACE,
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": text} for text in "ab"]}]},
        ),
        (BY_PLACE, "/v1/responses", {"input": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}),
        (
            BY_PLACE,
            "/v1/messages",
            {
                "max_tokens": 5,
                "tools": [{"name": "look", "input_schema": {"type": "object"}}],
                "messages": [
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": USED},
                    {"role": "user", "content": RESULT},
                ],
            },
        ),
    ],
)
def test_every_endpoint_suits_the_template(
    server: Any, make_gguf: Any, demands: str, path: str, body: dict[str, Any]
) -> None:
    model = str(make_gguf(template=f"{demands}{WRITE}{{# tools <tool_call> #}}"))
    response = server.post(path, model=model, stream=False, **body)
    assert response.status_code == 200, response.text
    assert len(server.runner.prompts) == 1


def test_a_loop_that_does_not_fit_is_refused_with_numbers(server: Any, make_gguf: Any) -> None:
    model = str(make_gguf(template=f"{SYSTEM_FIRST}{ASKED}{WRITE}"))
    server.with_window(100)
    messages = [_said("system", "s"), _said("user", "task"), _said("assistant", "", "f"), _said("tool", "1" * 200)]
    response = server.post("/api/chat", model=model, messages=messages)
    assert response.status_code == 400
    assert "exceeds the available context size: the prompt is" in response.json()["error"]
