"""Conversations as clients send them, for chat templates as families of models have them.

A template here demands of roles and contents what a family's does, in words of its own.
"""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.sandbox.rendering_jobs import Render
from swell.text.prompts.messages import Message

SYSTEM = {
    "anywhere": "{% if m.role == 'system' %}<system>{{ m.content }}{% endif %}",
    "first": (
        "{% if m.role == 'system' %}{% if not loop.first %}{{ raise_exception('system comes first') }}{% endif %}"
        "<system>{{ m.content }}{% endif %}"
    ),
    "refused": "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}",
    "unheard": "",
    "unheard but first": "{% if m.role == 'system' and loop.first %}<system>{{ m.content }}{% endif %}",
    "of its own": (
        "{% if loop.first and m.role != 'system' %}<system>You are a helpful model.{% endif %}"
        "{% if m.role == 'system' %}<system>{{ m.content }}{% endif %}"
    ),
    "in the first user's message": "",
    "in the last user's message": "",
}
"""What becomes of the system's messages."""
_TAKEN_ASIDE = (
    "{% if messages[0].role == 'system' %}{% set said = messages[0].content %}{% set messages = messages[1:] %}"
    "{% else %}{% set said = '' %}{% endif %}"
    "{% set asked = messages | selectattr('role', 'equalto', 'user') | list %}"
)
_PLACES = {"in the first user's message": "0", "in the last user's message": "asked | length - 1"}

TURNS = {
    "free": "",
    "alternating": (
        "{% set rest = messages[1:] if messages[0].role == 'system' else messages %}{% for m in rest %}"
        "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
        "{% endfor %}"
    ),
    "alternating but for calls": (
        "{% set ns = namespace(place=0) %}{% for m in messages %}"
        "{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}"
        "{% if (m.role == 'user') != (ns.place % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
        "{% set ns.place = ns.place + 1 %}{% endif %}{% endfor %}"
    ),
    "begun by the user": (
        "{% set rest = messages | rejectattr('role', 'equalto', 'system') | list %}"
        "{% if not rest or rest[0].role != 'user' %}{{ raise_exception('the user comes first') }}{% endif %}"
    ),
    "with a question": (
        "{% if not messages | selectattr('role', 'equalto', 'user') | list %}{{ raise_exception('no question') }}"
        "{% endif %}"
    ),
}

RESULTS = {
    "tool": "{% if m.role == 'tool' %}<tool>{{ m.content }}{% endif %}",
    "escaped": "{% if m.role == 'tool' %}<ipython>{{ {'output': m.content} | tojson }}{% endif %}",
    "named": (
        "{% if m.role == 'tool' %}{% if m.name is not defined %}{{ raise_exception('a result needs a name') }}"
        "{% endif %}<tool {{ m.name }}>{{ m.content }}{% endif %}"
    ),
    "numbered": (
        "{% if m.role == 'tool' %}{% if m.tool_call_id is not defined or m.tool_call_id | length != 9 %}"
        "{{ raise_exception('an id has nine letters') }}{% endif %}<tool {{ m.tool_call_id }}>{{ m.content }}"
        "{% endif %}"
    ),
    "after a call": (
        "{% if m.role == 'tool' %}{% if loop.first or loop.previtem.role not in ('assistant', 'tool') %}"
        "{{ raise_exception('a result follows a call') }}{% endif %}<tool>{{ m.content }}{% endif %}"
    ),
    "refused": "{% if m.role == 'tool' %}{{ raise_exception('only user and assistant') }}{% endif %}",
    "unheard": "",
}

CALLS = {
    "all": "{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments | tojson }}]{% endfor %}",
    "one": (
        "{% if m.tool_calls and m.tool_calls | length != 1 %}{{ raise_exception('one call at once') }}{% endif %}"
        "{% for c in m.tool_calls or [] %}[{{ c.function.name + ' ' + c.function.arguments }}]{% endfor %}"
    ),
    "by argument": (
        "{% for c in m.tool_calls or [] %}[{{ c.function.name }}{% for k, v in c.function.arguments | items %}"
        " {{ k }}={{ v }}{% endfor %}]{% endfor %}"
    ),
    "instead of text": (
        "{% if m.content is none %}{% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %}{% endif %}"
        "{# 'assistant' and message['content'] is none #}"
    ),
    "unheard": "",
}

TEXTS = {
    "as it is": "{{ m.content }}",
    "added": "{{ '' + m['content'] }}",
    "trimmed": "{{ m['content'].strip() }}",
    "in parts": (
        "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}"
        "{% endif %}"
    ),
    "without thoughts": "{{ m.content.split('</think>')[-1].lstrip() }}",
}


@dataclasses.dataclass(frozen=True)
class Family:
    """What a template demands, and what it does with what it doesn't expect."""

    system: str = "anywhere"
    turns: str = "free"
    results: str = "tool"
    calls: str = "all"
    texts: str = "as it is"

    @property
    def template(self) -> str:
        text = TEXTS[self.texts]
        before = rules = ""
        if place := _PLACES.get(self.system):
            before = _TAKEN_ASIDE
            rules = f"{{% if m == asked[{place}] and said %}}{{{{ said }}}}\n\n{{% endif %}}"
        users = f"{{% if m.role == 'user' %}}<user>{rules}{text}{{% endif %}}"
        replies = f"{{% if m.role == 'assistant' %}}<assistant>{{% if m.content %}}{text}{{% endif %}}"
        replies += CALLS[self.calls] + "{% endif %}"
        each = SYSTEM[self.system] + users + replies + RESULTS[self.results]
        return TURNS[self.turns] + before + "{% for m in messages %}" + each + "{% endfor %}<assistant>"


FAMILIES = {
    "ChatML": Family(),
    "Llama 2": Family("in the first user's message", "alternating", "unheard", "unheard", "trimmed"),
    "Llama 3": Family(results="unheard", calls="unheard", texts="trimmed"),
    "Llama 3.1": Family("unheard but first", results="escaped", calls="one", texts="trimmed"),
    "Mistral 0.1": Family("refused", "alternating", "refused", "unheard"),
    "Mistral 0.3": Family("in the last user's message", "alternating but for calls", "numbered", texts="added"),
    "Mistral Small": Family("first", "alternating but for calls", "numbered", texts="in parts"),
    "Mixtral": Family("in the first user's message", "alternating", "unheard", "unheard", "added"),
    "Gemma": Family("refused", "alternating", "unheard", "unheard", "trimmed"),
    "Gemma 3": Family("in the first user's message", "alternating", "unheard", "unheard", "in parts"),
    "Gemma 4": Family("unheard but first", results="named", texts="in parts"),
    "Qwen 2.5": Family("of its own"),
    "Qwen 3": Family("unheard but first", "with a question", texts="without thoughts"),
    "Qwen 3.5": Family("first", "with a question", calls="by argument", texts="in parts"),
    "DeepSeek 2": Family(results="unheard", calls="unheard", texts="added"),
    "DeepSeek R1": Family(calls="instead of text", texts="without thoughts"),
    "Phi 3": Family("anywhere", results="unheard", calls="unheard", texts="added"),
    "Phi 4 mini": Family(results="unheard", calls="unheard", texts="added"),
    "Command R": Family("unheard but first", "alternating", "unheard", "unheard", "trimmed"),
    "Granite": Family(texts="added"),
    "GLM 4": Family("anywhere", calls="by argument", texts="in parts"),
    "Zephyr": Family(results="unheard", calls="unheard", texts="added"),
    "Vicuna": Family("in the first user's message", "alternating", "refused", "unheard", "trimmed"),
    "OpenChat": Family("refused", "alternating", "unheard", "unheard", "trimmed"),
    "DBRX": Family("first", "alternating", "refused", "unheard", "trimmed"),
    "OLMo": Family("anywhere", results="unheard", calls="unheard"),
    "SOLAR": Family("anywhere", "begun by the user", "unheard", "unheard"),
    "Yi": Family("unheard but first", results="unheard", calls="unheard"),
    "InternLM": Family("anywhere", results="unheard", calls="unheard"),
    "Falcon 3": Family("unheard but first", results="tool"),
    "Hermes": Family("of its own"),
    "Functionary": Family("anywhere", results="named"),
    "Nemotron": Family("unheard but first", results="tool", texts="trimmed"),
    "Exaone": Family("of its own", results="tool"),
    "gpt-oss": Family("unheard but first", results="after a call", calls="one"),
    "Magistral": Family("first", "alternating but for calls", "numbered", texts="added"),
    "Seed": Family("first", calls="by argument", texts="trimmed"),
    "StableLM": Family(turns="begun by the user", results="unheard", calls="unheard"),
    "Nous Capybara": Family("unheard", "free", "unheard", "unheard"),
    "Orion": Family("unheard", "alternating", "unheard", "unheard"),
}
_ALL = st.builds(Family, *(st.sampled_from(list(kinds)) for kinds in (SYSTEM, TURNS, RESULTS, CALLS, TEXTS)))


def _said(role: str, content: object = "", **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


def _calling(*names: str, content: str = "", **fields: Any) -> dict[str, Any]:
    calls = [{"id": f"{name}0", "function": {"name": name, "arguments": {"where": "Oslo"}}} for name in names]
    return _said("assistant", content, tool_calls=calls, **fields)


def _result(name: str, content: str, **fields: Any) -> dict[str, Any]:
    return _said("tool", content, tool_call_id=f"{name}0", **fields)


_ASK, _REPLY, _MORE = _said("user", "Question"), _said("assistant", "Reply"), _said("user", "Further")
_RULES = _said("system", "Rules")
_LOOK, _SUN = _calling("look"), _result("look", "sunny")

SHAPES: dict[str, list[dict[str, Any]]] = {
    "a question": [_ASK],
    "with a system text": [_RULES, _ASK],
    "only a system text": [_RULES],
    "two system texts": [_RULES, _said("system", "Manners"), _ASK],
    "a late system text": [_ASK, _REPLY, _RULES, _MORE],
    "a last system text": [_ASK, _RULES],
    "a developer's text": [_said("developer", "Rules"), _ASK],
    "both": [_RULES, _said("developer", "Manners"), _ASK],
    "a second turn": [_ASK, _REPLY, _MORE],
    "two questions": [_ASK, _MORE],
    "two replies": [_ASK, _REPLY, _said("assistant", "Addition"), _MORE],
    "an assistant who begins": [_REPLY, _ASK],
    "an assistant who begins after rules": [_RULES, _REPLY, _ASK],
    "a reply that is begun": [_ASK, _REPLY],
    "an empty question": [_said("user"), _REPLY, _ASK],
    "an empty reply": [_ASK, _said("assistant"), _MORE],
    "two text parts": [_said("user", [{"type": "text", "text": "Question"}, {"type": "text", "text": "Further"}])],
    "roles in capitals": [_said("System", "Rules"), _said("User", "Question"), _said("Assistant", "Reply"), _MORE],
    "a call": [_ASK, _LOOK, _SUN],
    "a call and its talk": [_RULES, _ASK, _calling("look", content="Wait"), _SUN, _REPLY, _MORE],
    "two calls": [_ASK, _calling("look", "listen"), _SUN, _result("listen", "quiet")],
    "two calls, answered the other way round": [_ASK, _calling("look", "listen"), _result("listen", "quiet"), _SUN],
    "a loop": [_RULES, _ASK, *itertools.chain(*([_LOOK, _SUN] for _ in range(5)))],
    "a result and a text": [_ASK, _LOOK, _SUN, _MORE],
    "a text before the result": [_ASK, _LOOK, _MORE, _SUN],
    "a call without a result": [_ASK, _LOOK, _MORE],
    "a result without a call": [_ASK, _SUN],
    "a result that is JSON": [_ASK, _LOOK, _result("look", json.dumps({"sky": "blue", "say": 'a "b"\n'}))],
    "an empty result": [_ASK, _LOOK, _result("look", "")],
    "a call that was thought about": [_ASK, _calling("look", thinking="Hm"), _SUN],
    "a result with a name only": [_ASK, _LOOK, _said("tool", "sunny", tool_name="look")],
    "twenty turns": [_RULES, *itertools.chain(*([_ASK, _REPLY] for _ in range(20))), _MORE],
}


def _words(shape: list[dict[str, Any]]) -> Iterator[str]:
    """What the user, the system and the tools say, word by word: a template may escape it."""
    for message in shape:
        if message["role"].lower() != "assistant":
            yield from re.findall(r"\w+", _text(message["content"]))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(part["text"] for part in content)


def _messages(shape: list[dict[str, Any]]) -> list[Message]:
    """As the API makes them: texts of one message are one."""
    return msgspec.convert([{**one, "content": _text(one["content"])} for one in shape], list[Message])


def _run(family: Family, shape: list[dict[str, Any]]) -> str:
    job = Render(
        template=family.template, messages=_messages(shape), bos_token="", eos_token="", tools=[], thinking=None
    )
    return job.run()


def _check(family: Family) -> None:
    for name, shape in SHAPES.items():
        text = _run(family, shape)
        assert not [word for word in _words(shape) if word not in text], (name, text)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_takes_every_conversation(family: str) -> None:
    _check(FAMILIES[family])


@given(_ALL)
def test_every_template_takes_every_conversation(family: Family) -> None:
    _check(family)
