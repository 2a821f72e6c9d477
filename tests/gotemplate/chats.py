"""Templates in the manner of families of models, in words of our own, and conversations for them."""

from pathlib import Path
from typing import Any

TEMPLATES = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "families").glob("*.gotmpl"))}

_CALL = {
    "id": "call_1",
    "function": {
        "index": 0,
        "name": "weather",
        "arguments": {"city": "Zürich <&>", "days": 3, "x": {"b": [1, 2.5, None], "a": True}},
    },
}
_SECOND = {"function": {"index": 1, "name": "time", "arguments": {}}}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": 'The "weather" <now>',
            "parameters": {
                "type": "object",
                "required": ["city"],
                "properties": {
                    "city": {"type": "string", "description": "Where"},
                    "days": {"type": "integer", "enum": [1, 2, 3]},
                    "also": {"type": ["string", "null"], "items": {"type": "string"}},
                    "any": {"anyOf": [{"type": "string"}, {"type": "number"}]},
                    "free": {},
                    "o": {"type": "object", "properties": {"p": {"type": "boolean"}}, "required": ["p"]},
                    "list": {"type": "array", "items": {"type": "integer"}},
                },
            },
        },
    },
    {
        "type": "function",
        "function": {"name": "time", "parameters": {"type": "object", "properties": {}, "$defs": {"a": {"b": 1}}}},
    },
]
_USER, _SYSTEM = {"role": "user", "content": "How is it?"}, {"role": "system", "content": "Be kind."}
_ANSWER = {"role": "assistant", "content": "Fine.", "thinking": 'Hm, "fine"?'}
_CALLING = {"role": "assistant", "content": "", "tool_calls": [_CALL, _SECOND]}
_RESULT = {"role": "tool", "content": '{"sun": "yes & no"}', "tool_name": "weather", "tool_call_id": "call_1"}

CHATS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one": {"messages": [_USER]},
    "with a system": {"messages": [_SYSTEM, _USER]},
    "several turns": {"messages": [_SYSTEM, _USER, _ANSWER, {"role": "user", "content": "Why?\n\nTell me."}]},
    "thoughts": {"messages": [_USER, _ANSWER, _USER], "think": True},
    "no thoughts": {"messages": [_USER, _ANSWER, _USER], "think": False},
    "a level": {"messages": [_USER], "think": "high"},
    "tools": {"messages": [_SYSTEM, _USER], "tools": _TOOLS},
    "a round trip": {
        "messages": [_SYSTEM, _USER, _CALLING, _RESULT, {**_RESULT, "content": "12:00", "tool_name": "time"}],
        "tools": _TOOLS,
        "think": True,
    },
    "after a round trip": {"messages": [_USER, _CALLING, _RESULT, _ANSWER, _USER], "tools": _TOOLS[1:]},
    "the same twice": {
        "messages": [_SYSTEM, {**_SYSTEM, "content": "Be brief."}, _USER, {**_USER, "content": "And you?"}]
    },
    "a late system": {"messages": [_USER, _ANSWER, _SYSTEM, _USER]},
    "an answer that goes on": {"messages": [_USER, {"role": "assistant", "content": "Well,"}]},
    "an answer first": {"messages": [_ANSWER, _USER, _ANSWER, _SYSTEM]},
    "a gap": {"prompt": "def f():", "suffix": "return x"},
    "strange roles": {"messages": [{"role": "ipython", "content": "?"}, _USER]},
}
