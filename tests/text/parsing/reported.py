"""What models are reported to do to the formats of calls in `<tool_call>`, and what it means."""

from collections.abc import Sequence

from tests.text.parsing.recorded import GLM, NOW, QWEN, XML, Recorded

from swell.text.parsing.parts import Part, Text, ToolCall

PARIS = ToolCall("get_weather", {"location": "Paris"})
TWO_DAYS = ToolCall("get_weather", {"location": "Paris", "days": 2})
_CALL = '{"name": "get_weather", "arguments": {"location": "Paris"}}'
_FUNCTION = (
    "<tool_call>\n<function=get_weather>\n<parameter=location>\nParis\n</parameter>\n"
    "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>"
)
_KEYS = "get_weather\n<arg_key>location</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>"

_FUNCTIONS: tuple[tuple[str, str], ...] = (
    ("names in double quotes", _FUNCTION.replace("=get_weather", '="get_weather"').replace("=location", '="location"')),
    ("names in single quotes", _FUNCTION.replace("=days", "='days'")),
    (
        "names as attributes",
        _FUNCTION.replace("<function=", "<function name=").replace("<parameter=", "<parameter name="),
    ),
    ("blank space around the equals sign", _FUNCTION.replace("=", " = ")),
    ("a function whose bracket is missing", _FUNCTION.replace("=get_weather>", "=get_weather")),
    ("a parameter whose bracket is missing", _FUNCTION.replace("=location>", "=location")),
    ("closing tags with names", _FUNCTION.replace("\n</function>", "\n</function=get_weather>")),
    (
        "closing tags of parameters with names",
        _FUNCTION.replace("\nParis\n</parameter>", "\nParis\n</parameter=location>"),
    ),
    ("a closing tag of another format", _FUNCTION.replace("</function>", "</function>\n</function_invocation>")),
    ("only the closing tag of another format", _FUNCTION.replace("</function>", "</function_invocation>")),
    ("line breaks of Windows", _FUNCTION.replace("\n", "\r\n")),
    ("no line breaks", _FUNCTION.replace("\n", "")),
)

_JSON: tuple[tuple[str, str, Sequence[Part]], ...] = (
    ("args", '{"name": "get_weather", "args": {"location": "Paris"}}', [PARIS]),
    ("a tool", '{"tool": "get_weather", "input": {"location": "Paris"}}', [PARIS]),
    ("a name as a key", '{"get_weather": {"location": "Paris"}}', [PARIS]),
    ("arguments beside the name", '{"name": "get_weather", "location": "Paris"}', [PARIS]),
    ("arguments beside empty ones", '{"name": "get_weather", "arguments": {}, "location": "Paris"}', [PARIS]),
    ("arguments in a list", '{"name": "get_weather", "arguments": [{"location": "Paris"}]}', [PARIS]),
    ("a list of calls with a name", f'{{"tool_calls": [{_CALL}]}}', [PARIS]),
    ("a namespace", _CALL.replace("get_weather", "functions.get_weather"), [PARIS]),
    ("a number in a string", '{"name": "get_weather", "arguments": {"location": "Paris", "days": "2"}}', [TWO_DAYS]),
    ("a number with a point", '{"name": "get_weather", "arguments": {"location": "Paris", "days": 2.0}}', [TWO_DAYS]),
    (
        "a list in a string",
        '{"name": "get_weather", "arguments": {"hours": "[1, 2]", "metric": "true"}}',
        [ToolCall("get_weather", {"hours": [1, 2], "metric": True})],
    ),
    (
        "a number for a string",
        '{"name": "get_weather", "arguments": {"location": 75001}}',
        [ToolCall("get_weather", {"location": "75001"})],
    ),
    ("a name before JSON", 'get_weather\n{"location": "Paris"}', [PARIS]),
    ("a name before an argument in Python", 'get_weather(location="Paris", days=2)', [TWO_DAYS]),
)

REPORTED = [
    *(Recorded(f"a function with {name}", XML, output, [TWO_DAYS]) for name, output in _FUNCTIONS),
    *(
        Recorded(f"JSON with {name}", QWEN, f"<tool_call>\n{inside}\n</tool_call>", parts)
        for name, inside, parts in _JSON
    ),
    Recorded("JSON, then a tag with nothing behind it", QWEN, f"<tool_call>\n{_CALL}\n<tool_call>", [PARIS]),
    Recorded("JSON without a closing tag, then text", QWEN, f"<tool_call>\n{_CALL}\nSo.", [PARIS, Text("So.")]),
    Recorded("JSON that breaks off after a call", QWEN, f'<tool_call>\n{_CALL}\n{{"na', [PARIS, Text('{"na')]),
    Recorded(
        "JSON with a quote that isn't escaped",
        QWEN,
        '<tool_call>\n{"name": "write_file", "arguments": {"text": "5" wide"}}\n</tool_call>\nSo.',
        [ToolCall("write_file", {"text": '5" wide'}), Text("So.")],
    ),
    *(
        Recorded(f"only a mention: {text}", QWEN + "<function=[TOOL_CALLS]", text, [Text(text)])
        for text in (
            'Write `<tool_call>{"name": "now"}</tool_call>` for it.',
            "Write `<function=now></function>` for it.",
            'It is unknown[ARGS]{"a": 1}.',
        )
    ),
    Recorded("JSON with no opening tag", QWEN, f"I look.\n{_CALL}\n</tool_call>", [Text("I look."), PARIS]),
    Recorded("JSON in an answer", QWEN, f"So:\n{_CALL}\nis a call.", [Text(f"So:\n{_CALL}\nis a call.")]),
    Recorded("JSON with no tags at the end", QWEN, f"So:\n{_CALL}", [Text(f"So:\n{_CALL}")]),
    Recorded("keys with no opening tag", GLM, _KEYS, [PARIS]),
    Recorded("keys with no opening tag, behind a text", GLM, f"I look.\n{_KEYS}", [Text("I look."), PARIS]),
    Recorded("keys, a name before JSON", GLM, '<tool_call>get_weather{"location": "Paris"}}</tool_call>', [PARIS]),
    Recorded("keys, a name alone", GLM, "<tool_call>now</tool_call>", [NOW]),
    Recorded(
        "a name before JSON and more",
        GLM,
        '<tool_call>get_weather{"location": "Paris"} and</tool_call>',
        [Text('<tool_call>get_weather{"location": "Paris"} and</tool_call>')],
    ),
    Recorded("a name before JSON that breaks off", GLM, '<tool_call>now{"', [Text('<tool_call>now{"')]),
]
