"""What models of each format write, and what it means.

Written after the models' chat templates; a template here is only the part that tells the format.
"""

from dataclasses import dataclass, field
from typing import Any

from swell.server.parsing.parts import Part, Text, Thought, ToolCall

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
    parts: list[Part]
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

RECORDED = [*THINKING, *CALLS]
