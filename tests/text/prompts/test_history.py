"""Conversations for chat templates."""

from typing import Any

import msgspec

from swell.text.prompts.history import TemplateArguments, template_messages
from swell.text.prompts.messages import Message
from swell.text.prompts.template import render


def _messages(*messages: dict[str, Any]) -> list[Message]:
    return msgspec.convert(list(messages), list[Message])


def _calling(*names: str, ids: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    calls: list[dict[str, Any]] = [{"function": {"name": name, "arguments": {"a": 1}}} for name in names]
    for call, call_id in zip(calls, ids, strict=False):
        call["id"] = call_id
    return {"role": "assistant", "tool_calls": calls, **fields}


def test_a_plain_message() -> None:
    assert template_messages("", _messages({"role": "USER", "content": "Hi"})) == [{"role": "user", "content": "Hi"}]


def test_thoughts_have_both_names() -> None:
    (fields,) = template_messages("", _messages({"role": "assistant", "content": "Hi", "thinking": "Hm"}))
    assert fields == {"role": "assistant", "content": "Hi", "thinking": "Hm", "reasoning_content": "Hm"}


def test_results_find_their_calls_by_id() -> None:
    asked, first, second = template_messages(
        "",
        _messages(
            _calling("f", "g", ids=("c1", "c2")),
            {"role": "tool", "content": "2", "tool_call_id": "c2"},
            {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "c1"},
        ),
    )
    assert asked["tool_calls"] == [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": {"a": 1}}}
        for call_id, name in (("c1", "f"), ("c2", "g"))
    ]
    assert first == {"role": "tool", "content": "2", "name": "g", "tool_call_id": "c2"}
    assert second == {"role": "tool", "content": "1", "name": "f", "tool_call_id": "c1"}


def test_results_without_ids_find_their_calls_too() -> None:
    """As the official client leaves them out."""
    _, second, first, other = template_messages(
        "",
        _messages(
            _calling("f", "g"),
            {"role": "tool", "content": "2", "tool_name": "g"},
            {"role": "tool", "content": "1"},
            {"role": "tool", "content": "?"},
        ),
    )
    assert (second["name"], second["tool_call_id"]) == ("g", "call00001")
    assert (first["name"], first["tool_call_id"]) == ("f", "call00000")
    assert other == {"role": "tool", "content": "?"}


def test_ids_for_mistral() -> None:
    template = "{% if call.id|length != 9 %}{{ raise_exception('id') }}{% endif %}"
    asked, result = template_messages(
        template, _messages(_calling("f", ids=("call_abcdefgh",)), {"role": "tool", "tool_call_id": "call_abcdefgh"})
    )
    call_id = str(result["tool_call_id"])
    assert len(call_id) == 9
    assert call_id.isalnum()
    assert f"'id': '{call_id}'" in str(asked["tool_calls"])


def test_content_beside_a_call() -> None:
    tests_for_null = "{% if message['role'] == 'assistant' and message['content'] is none %}"
    both = "{{ raise_exception('Cannot pass both content and thinking in ...') }}"
    for_strings = "{% if message.content is not none %}{{ message.content|length }}{% endif %}"
    assert template_messages(for_strings, _messages(_calling("f")))[0]["content"] == ""
    assert template_messages(tests_for_null, _messages(_calling("f")))[0]["content"] is None
    assert template_messages(tests_for_null, _messages(_calling("f", content="x")))[0]["content"] == "x"
    assert "thinking" not in template_messages(both, _messages(_calling("f", content="x", thinking="y")))[0]
    assert template_messages(both, _messages(_calling("f", thinking="y")))[0]["thinking"] == "y"


def test_arguments_are_an_object_and_a_string() -> None:
    messages: list[dict[str, object]] = [{"arguments": TemplateArguments({"a": "é", "b": [1]})}]
    template = (
        "{% set a = messages[0].arguments %}{{ a | tojson }} {{ 'x' + a }} {{ a + 'x' }} {{ a }} {{ a ~ 'x' }} "
        "{{ a.a }}{% for key, value in a | items %} {{ key }}={{ value }}{% endfor %}{{ a is mapping }}"
    )
    json = '{"a": "é", "b": [1]}'
    assert render(template, messages, bos_token="", eos_token="") == (
        f"{json} x{json} {json}x {json} {json}x é a=é b=[1]True"
    )
