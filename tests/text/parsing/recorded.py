"""What models of each format write, and what it means.

Written after the models' chat templates; a template here is only the part that tells the format.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from swell.text.parsing.parts import Part, Text, Thought, ToolCall

TOOLS: dict[str, dict[str, Any]] = {
    "get_weather": {
        "type": "object",
        "properties": {
            "location": {"type": "string"},
            "days": {"type": "integer"},
            "metric": {"type": "boolean"},
            "hours": {"type": "array", "items": {"type": "number"}},
        },
    },
    "write_file": {"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}},
    "now": {"type": "object", "properties": {}},
}


@dataclass(frozen=True)
class Recorded:
    """An output and its parts. Without `tools` there are none in the request."""

    name: str
    template: str
    output: str
    parts: Sequence[Part]
    prompt: str = ""
    tools: dict[str, dict[str, Any]] = field(default_factory=lambda: TOOLS)


def _paris(**more: Any) -> ToolCall:
    return ToolCall("get_weather", {"location": "Paris", **more})


QWEN = "{{ '<think>' }}{% if '</think>' in content %}{{ tools }}<tool_call></tool_call>"
HARMONY = "<|start|>assistant<|channel|>"
NOW = ToolCall("now", {})
TRICKY = 'a "quoted" </tool_call>\n\\{[\\\\"é😀'
TRICKY_JSON = '"a \\"quoted\\" </tool_call>\\n\\\\{[\\\\\\\\\\"é\\ud83d\\ude00"'

THINKING = [
    Recorded("no thinking", QWEN, " Hello, <b>you</b>.", [Text(" Hello, <b>you</b>.")]),
    Recorded(
        "think", QWEN, "\n<think>\nHm, 1 < 2.\n\nYes.\n</think>\n\n2\n", [Thought("Hm, 1 < 2.\n\nYes."), Text("2\n")]
    ),
    Recorded("an empty thought", QWEN, "<think>\n\n</think>\n\n4", [Text("4")]),
    Recorded(
        "opened in the prompt", QWEN, "Hm.\n</think>\n\n4", [Thought("Hm."), Text("4")], "<|assistant|>\n<think>\n"
    ),
    Recorded("never closed", QWEN, "<think>Hm. </thin", [Thought("Hm. </thin")]),
    Recorded("a second tag", QWEN, "<think>a</think>b<think>c", [Thought("a"), Text("b<think>c")]),
    Recorded("a tag that breaks off", QWEN, "  <thi", [Text("  <thi")]),
    Recorded(
        "only split at the end", "{{ content.split('</think>')[-1] }}", "<think>a</think>b", [Thought("a"), Text("b")]
    ),
    Recorded(
        "Gemma 4", "<|channel>thought<channel|>", "<|channel>thought\nHm<channel|>Hi", [Thought("Hm"), Text("Hi")]
    ),
    Recorded("Mistral", "[THINK][/THINK]", "[THINK]Hm[/THINK]Hi", [Thought("Hm"), Text("Hi")]),
    Recorded(
        "Cohere",
        "<|START_THINKING|><|END_THINKING|>",
        "<|START_THINKING|>Hm<|END_THINKING|>Hi",
        [Thought("Hm"), Text("Hi")],
    ),
    Recorded(
        "Granite 3.3",
        "<think></think><response></response>",
        "<think>Hm</think> <response> A <b>.\n</response>\n",
        [Thought("Hm"), Text("A <b>.")],
    ),
    Recorded("Granite without", "<think></think><response></response>", "<think>a</think>b", [Thought("a"), Text("b")]),
    Recorded(
        "Granite 3.2",
        "Here is my thought process: Here is my response:",
        "Here is my thought process: Hm.\nHere is my response: Hi",
        [Thought("Hm."), Text("Hi")],
    ),
    Recorded("plain", "", "<think>a</think>b", [Text("<think>a</think>b")]),
    Recorded(
        "harmony",
        HARMONY,
        "<|channel|>analysis<|message|>User asks 1<2?<|end|><|start|>assistant<|channel|>final<|message|>Yes, 1<2.",
        [Thought("User asks 1<2?"), Text("Yes, 1<2.")],
    ),
    Recorded("harmony without analysis", HARMONY, "<|channel|>final<|message|>Yes<|return|>", [Text("Yes")]),
    Recorded("harmony without a head", HARMONY, "  <b>Yes</b>", [Text("  <b>Yes</b>")]),
    Recorded("harmony that breaks off", HARMONY, "<|channel|>analysis<|mes", [Text("<|channel|>analysis<|mes")]),
]

CALLS = [
    Recorded(
        "Qwen 3",
        QWEN,
        "<think>\nTool.\n</think>\n\nI look.\n\n<tool_call>\n"
        '{"name": "get_weather", "arguments": {"location": "Paris"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
        [Thought("Tool."), Text("I look."), _paris(), NOW],
    ),
    Recorded(
        "text after the call",
        "<tool_call>",
        '<tool_call>{"name": "now"}</tool_call>\n\nDone, <tool>.',
        [NOW, Text("Done, <tool>.")],
    ),
    Recorded(
        "tags and quotes in a string",
        "<tool_call>",
        f'<tool_call>{{"name": "write_file", "arguments": {{"path": "x", "text": {TRICKY_JSON}}}}}</tool_call>',
        [ToolCall("write_file", {"path": "x", "text": TRICKY})],
    ),
    Recorded(
        "a line break in a string",
        "<tool_call>",
        '<tool_call>{"name": "write_file", "arguments": {"text": "a\nb"}}</tool_call>',
        [ToolCall("write_file", {"text": "a\nb"})],
    ),
    Recorded("not closed", "<tool_call>", 'A <tool_call>{"name": "now"}', [Text("A"), NOW]),
    Recorded(
        "arguments in a string",
        "<tool_call>",
        '<tool_call>{"name": "get_weather", "arguments": "{\\"location\\": \\"Paris\\"}"}',
        [_paris()],
    ),
    Recorded("broken off", "<tool_call>", 'A <tool_call>{"name": "no', [Text('A <tool_call>{"name": "no')]),
    Recorded(
        "malformed, then well formed",
        "<tool_call>",
        '<tool_call>{"name": now}</tool_call> sorry \n<tool_call>{"name": "now"}</tool_call>',
        [Text('<tool_call>{"name": now}</tool_call> sorry'), NOW],
    ),
    Recorded(
        "no tools asked for", "<tool_call>", "<tool_call>{}</tool_call>", [Text("<tool_call>{}</tool_call>")], tools={}
    ),
    Recorded(
        "Qwen 3 Coder",
        "<tool_call><function=",
        "Sure.\n<tool_call>\n<function=get_weather>\n<parameter=location>\nParis\n</parameter>\n<parameter=days>\n3\n"
        "</parameter>\n<parameter=metric>\nTrue\n</parameter>\n<parameter=hours>\n[1, 2.5]\n</parameter>\n</function>\n"
        "</tool_call>",
        [Text("Sure."), _paris(days=3, metric=True, hours=[1, 2.5])],
    ),
    Recorded(
        "Qwen 3 Coder without the outer tag",
        "<tool_call><function=",
        "<function=write_file>\n<parameter=path>\n7\n</parameter>\n<parameter=text>\n\n<b>{</b>\n\n</parameter>\n</function>",
        [ToolCall("write_file", {"path": "7", "text": "\n<b>{</b>\n"})],
    ),
    Recorded("Qwen 3 Coder without arguments", "<function=", "<function=now>\n</function>", [NOW]),
    Recorded(
        "Seed",
        "<seed:tool_call>",
        "<seed:tool_call>\n<function=get_weather>\n<parameter=location>Paris</parameter>\n</function>\n</seed:tool_call>",
        [_paris()],
    ),
    Recorded(
        "GLM",
        "<tool_call><arg_key>",
        "<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>"
        "\n<arg_value>2</arg_value>\n</tool_call>",
        [_paris(days=2)],
    ),
    Recorded(
        "Llama 3",
        "{{ tools }}",
        '{"name": "get_weather", "parameters": {"location": "Paris"}}; {"name": "now", "parameters": {}}',
        [_paris(), NOW],
    ),
    Recorded(
        "Llama 3, python tag", "<|python_tag|>{{ tools }}", '<|python_tag|>{"name": "now", "parameters": {}}', [NOW]
    ),
    Recorded("Llama 3, no call", "{{ tools }}", 'JSON: {"name": "now"}', [Text('JSON: {"name": "now"}')]),
    Recorded("JSON that is an answer", "{{ tools }}", '{"name": "Bob"} [1]', [Text('{"name": "Bob"} [1]')]),
    Recorded("generic, a list", "{{ tools }}", '\n[{"function": {"name": "now", "arguments": {}}}]\n', [NOW]),
    Recorded(
        "Mistral, a list",
        "[TOOL_CALLS]",
        'Hm.[TOOL_CALLS] [{"name": "get_weather", "arguments": {"location": "Paris"}}, '
        '{"name": "now", "arguments": {}}]',
        [Text("Hm."), _paris(), NOW],
    ),
    Recorded(
        "Mistral, names",
        "[TOOL_CALLS][ARGS]",
        '[TOOL_CALLS]get_weather[ARGS]{"location": "Paris"}[TOOL_CALLS]now[CALL_ID]x1[ARGS]{}[TOOL_CALLS]now{}',
        [_paris(), NOW, NOW],
    ),
    Recorded("Mistral, malformed", "[TOOL_CALLS]", "[TOOL_CALLS]what now? {", [Text("[TOOL_CALLS]what now? {")]),
    Recorded(
        "DeepSeek V3",
        "<｜tool▁calls▁begin｜>",
        "I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"location": "Paris"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n'
        "```json\n{}\n```"
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [Text("I look."), _paris(), NOW],
    ),
    Recorded(
        "DeepSeek V3.1",
        "<｜tool▁calls▁begin｜>",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"location": "Paris"}<｜tool▁call▁end｜>'
        "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [_paris(), NOW],
    ),
    Recorded(
        "Kimi K2",
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"location": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
        [_paris()],
    ),
    Recorded(
        "Granite 3",
        "<|tool_call|>",
        '<|tool_call|> [{"name": "get_weather", "arguments": {"location": "Paris"}}] ok',
        [_paris(), Text("ok")],
    ),
    Recorded(
        "Gemma 3",
        "```tool_code",
        '```tool_code\nprint(get_weather("Paris", days=2))\n```\nOk.',
        [_paris(days=2), Text("Ok.")],
    ),
    Recorded("Gemma 3, JSON", "```tool_call", '```tool_call\n{"name": "now", "parameters": {}}\n```', [NOW]),
    Recorded(
        "Gemma 4",
        "<|tool_call>",
        '<|tool_call>call:get_weather{location:<|"|>Paris<|"|>,days:2,hours:[1,2.5]}<tool_call|>',
        [_paris(days=2, hours=[1, 2.5])],
    ),
    Recorded(
        "FunctionGemma",
        "<start_function_call>",
        "<start_function_call>call:write_file{text:<escape>{a: 1}<escape>}<end_function_call>",
        [ToolCall("write_file", {"text": "{a: 1}"})],
    ),
    Recorded(
        "LFM2",
        "<|tool_call_start|>",
        "<|tool_call_start|>[get_weather(location='Paris', metric=true), now()]<|tool_call_end|>Wait.",
        [_paris(metric=True), NOW, Text("Wait.")],
    ),
    Recorded("LFM2, code", "<|tool_call_start|>", "<|tool_call_start|>[f(x)]", [Text("<|tool_call_start|>[f(x)]")]),
    Recorded(
        "Cohere",
        "<|START_ACTION|>",
        '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "now", "parameters": {}}]<|END_ACTION|>',
        [NOW],
    ),
    Recorded(
        "harmony, a call",
        HARMONY,
        "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
        '{"location": "Paris"}<|call|>',
        [Thought("Look."), Text("I look."), _paris()],
    ),
    Recorded("harmony, the recipient first", HARMONY, "to=functions.now<|channel|>commentary json<|message|>{}", [NOW]),
    Recorded(
        "harmony, malformed",
        HARMONY,
        "<|channel|>commentary to=functions.now<|message|>{oh",
        [Text("<|channel|>commentary to=functions.now<|message|>{oh")],
    ),
]

XML = "<tool_call>\n<function=NAME>\n<parameter=KEY>"
GLM = "<tool_call>NAME<arg_key>KEY</arg_key><arg_value>"


def _written(text: str, path: str = "a.md") -> ToolCall:
    return ToolCall("write_file", {"path": path, "text": text})


def _function(name: str, **values: str) -> str:
    """A call as Qwen 3 Coder writes it."""
    inside = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    return f"<tool_call>\n<function={name}>\n{inside}</function>\n</tool_call>"


def _keys(name: str, **values: str) -> str:
    """A call as GLM writes it."""
    inside = "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in values.items())
    return f"<tool_call>{name}\n{inside}</tool_call>"


EXAMPLE = f"Call it so:\n{_function('write_file', path='b.md', text='hi')}\nor so:\n{_function('now')}\n"
GLM_EXAMPLE = f"Call it so:\n{_keys('write_file', path='b.md', text='hi')}\nor so:\n{_keys('get_weather', days='2')}\n"
_START = "<tool_call>\n<function=write_file>\n<parameter=path>\na.md\n"
_CUT = f"{_START}</parameter>\n<parameter=text>\nThe first li"

TAGS = [
    *(
        Recorded(f"{name} in a value", XML, _function("write_file", path="a.md", text=text), [_written(text)])
        for name, text in {
            "the tag that closes a block": "It ends with </tool_call> and\n</tool_call>\nagain.",
            "the tag that closes a call": "</function>, like\n</function>\nthis",
            "the tag that closes a value": 'print("</parameter>")\n</parameter>\n.',
            "all of them": "It ends so:\n</parameter>\n</function>\n</tool_call>.",
            "the tag of a block": "It begins with <tool_call>, or <tool_call>\n",
            "the tags between blocks": "Between two are </tool_call>\n<tool_call>.",
            "a call": EXAMPLE,
            "a call that is all": _function("write_file", path="b.md", text="hi"),
            "two calls": _function("now") + "\n" + _function("write_file", path="c", text=""),
            "another argument": "<parameter=mode>\nx\n</parameter>\n<parameter=depth>\ny\n</parameter>",
            "the same argument": "Write <parameter=text> first.",
            "JSON": '{"name": "now", "arguments": {}}',
        }.items()
    ),
    Recorded(
        "an argument before its call", XML, _function("write_file", text=EXAMPLE, path="a"), [_written(EXAMPLE, "a")]
    ),
    Recorded(
        "two calls with calls", XML, 2 * _function("write_file", path="a", text=EXAMPLE), 2 * [_written(EXAMPLE, "a")]
    ),
    Recorded(
        "text after a call in a value",
        XML,
        _function("write_file", path="a", text=EXAMPLE) + "\nDone.\n" + _function("now"),
        [_written(EXAMPLE, "a"), Text("Done."), NOW],
    ),
    Recorded(
        "two functions in a block",
        XML,
        "<tool_call>\n" + 2 * "<function=now>\n</function>\n" + "</tool_call>",
        [NOW, NOW],
    ),
    Recorded("no opening", XML, "Hm.\n" + _function("now").removeprefix("<tool_call>"), [Text("Hm."), NOW]),
    Recorded("two openings", XML, "<tool_call>" + _function("now"), [NOW]),
    Recorded("two closings", XML, _function("now") + "</tool_call>\nYes.", [NOW, Text("Yes.")]),
    Recorded(
        "a function twice", XML, _function("now").replace("<function=now>", "<function=now>\n<function=now>"), [NOW]
    ),
    Recorded(
        "an argument closed twice",
        XML,
        f"{_START}</parameter>\n</parameter>\n<parameter=text>\nx\n</parameter>\n</function>\n</tool_call>",
        [_written("x")],
    ),
    Recorded(
        "an argument opened twice",
        XML,
        f"{_START}</parameter>\n<parameter=text>\n<parameter=text>\nx\n</parameter>\n</function>\n</tool_call>",
        [_written("x")],
    ),
    Recorded(
        "arguments that aren't closed",
        XML,
        f"{_START}<parameter=text>\nx\n</function>\n</tool_call>\n{_START}<parameter=text>\ny\n</tool_call>",
        [_written("x"), _written("y")],
    ),
    Recorded(
        "nothing is closed",
        XML,
        f"{_START}</parameter>\n" + _function("now"),
        [ToolCall("write_file", {"path": "a.md"}), NOW],
    ),
    Recorded("cut in a value", XML, _CUT, [Text(_CUT)]),
    Recorded("cut after a tag in a value", XML, f"{_CUT}\n</tool_call> x", [Text(f"{_CUT}\n</tool_call> x")]),
    Recorded(
        "a function with JSON",
        XML,
        '<function=write_file>{"path": "</function>", "text": "x"}</function>',
        [_written("x", "</function>")],
    ),
    Recorded(
        "only a mention",
        XML,
        "Use <tool_call> and <function=f> here.",
        [Text("Use <tool_call> and <function=f> here.")],
    ),
    Recorded("a function without a name", XML, "<function=>x", [Text("<function=>x")]),
    Recorded(
        "a value with another argument's tag, which may not be closed",
        XML,
        _function("write_file", path="x <parameter=text> y"),
        [Text(_function("write_file", path="x <parameter=text> y"))],
    ),
    Recorded(
        "a value with another argument's tag, which is there",
        XML,
        _function("write_file", path="x <parameter=text> y", text="z"),
        [_written("z", "x <parameter=text> y")],
    ),
    *(
        Recorded(f"GLM, {name} in a value", GLM, _keys("write_file", path="a.md", text=text), [_written(text)])
        for name, text in {
            "the tag that closes a block": "It ends with </tool_call> and\n</tool_call>\nagain.",
            "the tag that closes a value": "see </arg_value> and\n</arg_value>\n.",
            "the tag of a block": "It begins with <tool_call>, or\n<tool_call>\n",
            "a call": GLM_EXAMPLE,
            "line breaks": "\nx\n",
        }.items()
    ),
    Recorded(
        "GLM, a key closed twice",
        GLM,
        _keys("write_file", path="a.md", text="x").replace("</arg_key>", "</arg_key></arg_key>"),
        [_written("x")],
    ),
    Recorded(
        "GLM, a key that isn't closed",
        GLM,
        _keys("write_file", path="a.md", text="x").replace("</arg_key>", ""),
        [_written("x")],
    ),
    Recorded(
        "GLM, a value that isn't closed",
        GLM,
        _keys("write_file", path="a.md", text="x").replace("</arg_value>\n", "\n", 1),
        [_written("x")],
    ),
    Recorded("GLM, no arguments", GLM, _keys("now"), [NOW]),
    Recorded(
        "GLM, tags of calls without a name in a value",
        GLM,
        _keys("write_file", path="a.md", text="</tool_call><tool_call>."),
        [_written("</tool_call><tool_call>.")],
    ),
    Recorded("GLM, two openings", GLM, "<tool_call>" + _keys("now"), [NOW]),
]

_UNMARKED: tuple[tuple[str, str, Sequence[Part]], ...] = (
    ("JSON", '{"name": "now", "arguments": {}}\n</tool_call>', [NOW]),
    ("JSON in a fence", '```json\n{"name": "now", "arguments": {}}\n```\nDone.', [NOW, Text("Done.")]),
    ("two fences", 2 * '```json\n{"name": "now"}\n```\n', [NOW, NOW]),
    ("a fence around tags", '```\n<tool_call>{"name": "now"}</tool_call>\n```', [NOW]),
    ("an answer in a fence", '```json\n{"name": "Bob"}\n```', [Text('```json\n{"name": "Bob"}\n```')]),
    ("code", "```python\nnow()\n```", [Text("```python\nnow()\n```")]),
    ("JSON in an answer", 'So:\n{"name": "now"}', [Text('So:\n{"name": "now"}')]),
    ("code after a call", '{"name": "now"}\n```python\nf()\n```', [NOW, Text("```python\nf()\n```")]),
    ("a bracket too many", '{"name": "now", "parameters": {}}}\n', [NOW]),
    ("a bracket too few", '{"name": "now", "parameters": {}', [NOW]),
    (
        "brackets too few",
        '{"name": "now", "parameters": {"a": {}',
        [Text('{"name": "now", "parameters": {"a": {}')],
    ),
)

JSON = (
    [
        Recorded(name, "<tool_call>", f"<tool_call>\n{inside}\n</tool_call>", parts)
        for name, inside, parts in (
            ("a bracket too many", '{"name": "now", "arguments": {}}}', [NOW]),
            ("brackets too few", '{"name": "get_weather", "arguments": {"location": "Paris"', [_paris()]),
            (
                "an inner bracket too few",
                '{"name": "get_weather", "arguments": {"hours": [1, 2}}',
                [ToolCall("get_weather", {"hours": [1, 2]})],
            ),
            (
                "single quotes",
                "{'name': 'write_file', 'arguments': {'path': '</tool_call>', 'text': \"it's\",}}",
                [_written("it's", "</tool_call>")],
            ),
            (
                "a path of Windows",
                r'{"name": "write_file", "arguments": {"path": "C:\Users\new", "text": "x"}}',
                [_written("x", r"C:\Users\new")],
            ),
            ("no arguments", '{"name": "now", "arguments": null}', [NOW]),
            ("an empty text for arguments", '{"name": "now", "arguments": ""}', [NOW]),
            ("a fence", '```json\n{"name": "now"}\n```', [NOW]),
            (
                "two objects",
                '{"name": "now"}\n{"name": "get_weather", "arguments": {"location": "Paris"}}',
                [NOW, _paris()],
            ),
            ("objects with commas", '{"name": "now"}, {"name": "now"}', [NOW, NOW]),
            ("the tag twice", '<tool_call>\n{"name": "now"}\n</tool_call>', [NOW]),
        )
    ]
    + [Recorded(f"{name}, not marked", "<tool_call>", output, parts) for name, output, parts in _UNMARKED]
    + [
        Recorded(
            "the next block before a closing tag",
            "<tool_call>",
            '<tool_call>{"name": "now"}\n<tool_call>{"name": "now"<tool_call>{"name": "now"}',
            [NOW, NOW, NOW],
        ),
        Recorded(
            "what follows an object says that it isn't all",
            "<tool_call>",
            '<tool_call>{"name": "now"}, "arguments": {"a": 1}}</tool_call>',
            [Text('<tool_call>{"name": "now"}, "arguments": {"a": 1}}</tool_call>')],
        ),
    ]
)

_NOW = '<tool_call>{"name": "now"}</tool_call>'
_DRAFT = f"Maybe {_NOW} or not."

_THOUGHTS: tuple[tuple[str, str, Sequence[Part]], ...] = (
    ("a call in a thought", f"<think>\nI look.\n{_NOW}\n", [Thought("I look."), NOW]),
    ("calls in a thought", f"<think>I look.{_NOW}\n{_NOW}</tool_call>", [Thought("I look."), NOW, NOW]),
    ("a call without a closing tag", '<think>I look. <tool_call>{"name": "now"}', [Thought("I look."), NOW]),
    ("tags in a thought", f"<think>\n{_function('write_file', path='a', text=EXAMPLE)}", [_written(EXAMPLE, "a")]),
    ("a function in a thought", f"<think>I look.\n{_function('now')}", [Thought("I look."), NOW]),
    ("a draft", f"<think>{_DRAFT}</think>{_NOW}", [Thought(_DRAFT), NOW]),
    ("a draft at the end", f"<think>Maybe {_NOW}</think>No.", [Thought(f"Maybe {_NOW}"), Text("No.")]),
    ("a draft that goes on", f"<think>{_DRAFT}", [Thought(_DRAFT)]),
    ("an unknown tool", '<think>So <tool_call>{"name": "f"}', [Thought('So <tool_call>{"name": "f"}')]),
    ("a mention", "<think>With <tool_call> I\n</think>Hi", [Thought("With <tool_call> I"), Text("Hi")]),
    ("a call that breaks off", '<think>So <tool_call>{"na', [Thought('So <tool_call>{"na')]),
    (
        "thinking twice",
        "<think>a</think>one <think>\nb\n</think>two",
        [Thought("a"), Text("one "), Thought("b"), Text("two")],
    ),
    (
        "thinking between calls",
        f"<think>a</think>{_NOW}<think>b</think>{_NOW}",
        [Thought("a"), NOW, Thought("b"), NOW],
    ),
    (
        "a thought in a call",
        f"<think>a</think>{_function('write_file', path='a', text='<think>b</think>')}",
        [Thought("a"), _written("<think>b</think>", "a")],
    ),
)

_TAGS_OF_THOUGHTS: tuple[tuple[str, str, Sequence[Part]], ...] = (
    ("an opening tag twice", "<think>\n<think>\na</think>b", [Thought("a"), Text("b")]),
    ("a closing tag twice", "<think>a</think>\n</think>\n\nb", [Thought("a"), Text("b")]),
    ("a closing tag after the answer", "<think>a</think>b\n</think>", [Thought("a"), Text("b\n")]),
    ("a closing tag first", "</think>\n\nb", [Text("b")]),
    ("a closing tag before a call", f"</think>\n{_NOW}", [NOW]),
    ("a closing tag after a call", f"<think>a</think>{_NOW}\n</think>\nb", [Thought("a"), NOW, Text("\nb")]),
    ("a closing tag without a thought", "a</think>b", [Text("ab")]),
    ("a tag that is explained", "Write <think>x</think>.", [Text("Write <think>x</think>.")]),
    ("a closing tag in backticks", "It ends with `</think>`.", [Text("It ends with `</think>`.")]),
    ("a closing tag in quotes", "s.split('</think>')", [Text("s.split('</think>')")]),
    ("half a quote", "say '</think>", [Text("say '")]),
    (
        "a closing tag in backticks in a thought",
        "<think>`</think>` ends.</think>b",
        [Thought("`</think>` ends."), Text("b")],
    ),
    ("code before a closing tag", "<think>a `b`</think>c", [Thought("a `b`"), Text("c")]),
    ("code at the end", "<think>a `b`</think>", [Thought("a `b`")]),
    ("a backtick before a closing tag", "<think>a `</think>", [Thought("a `")]),
)

THOUGHTS = [
    *(Recorded(name, QWEN, output, parts) for name, output, parts in _TAGS_OF_THOUGHTS),
    Recorded(
        "an opening tag after one in the prompt", QWEN, "<think>\na</think>b", [Thought("a"), Text("b")], "<think>\n"
    ),
    Recorded(
        "Gemma 4, half an opening tag",
        "<|channel>thought<channel|>",
        "<|channel>\na<channel|>b",
        [Thought("a"), Text("b")],
    ),
    Recorded("Gemma 4, a closing tag", "<|channel>thought<channel|>", "a\n<channel|>", [Text("a\n")]),
    Recorded(
        "words that are no tag",
        "Here is my thought process: Here is my response:",
        "So. Here is my response: a",
        [Text("So. Here is my response: a")],
    ),
]
THOUGHTS += [Recorded(name, QWEN + "<function=", output, parts) for name, output, parts in _THOUGHTS]

RECORDED = [*THINKING, *CALLS, *TAGS, *JSON, *THOUGHTS]
