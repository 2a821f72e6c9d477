"""Calls as the templates of models write them, and what models do to them."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Arguments = dict[str, Any]
Call = tuple[str, Arguments]


@dataclass(frozen=True)
class Written:
    """A format. `damages` change what one call, or all, look like, and not what they mean.

    `marks`: tags of the format, which strings may hold; `unspeakable` is what no string can hold in this format.
    """

    name: str
    template: str
    write: Callable[[Sequence[Call]], str]
    damages: tuple[Callable[[str], str], ...] = ()
    marks: tuple[str, ...] = ()
    unspeakable: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.name


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


# --- Gemma


def _gemma_value(value: object, mark: str) -> str:
    match value:
        case str():
            return f"{mark}{value}{mark}"
        case dict():
            return "{" + ",".join(f"{key}:{_gemma_value(item, mark)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(_gemma_value(item, mark) for item in value) + "]"
    return _json(value)


def _gemma(opening: str, closing: str, mark: str) -> Callable[[Sequence[Call]], str]:
    def write(calls: Sequence[Call]) -> str:
        return "".join(f"{opening}call:{name}{_gemma_value(arguments, mark)}{closing}" for name, arguments in calls)

    return write


def _gemma_damages(closing: str, mark: str) -> tuple[Callable[[str], str], ...]:
    return (
        lambda output: output.replace("call:", "call:space.one:"),
        lambda output: output.replace(f"{mark}}}{closing}", f"}}{closing}"),
        lambda output: output.replace(f"}}{closing}", closing) if f"{mark}}}{closing}" in output else output,
        lambda output: output.replace(f"}}{closing}", f"}}}}{closing}"),
        lambda output: re.sub(rf"{re.escape(mark)}(\w*){re.escape(mark)}(?=[,}}\]])", r'"\1"', output),
        lambda output: re.sub(r"([{,]\w+):", r"\1=", output),
        lambda output: output.replace("null", "None").replace("true", "True").replace("false", "False"),
        lambda output: re.sub(rf"{re.escape(mark)}(\w*),(\w+):{re.escape(mark)}", rf"{mark}\1,\2:{mark}", output),
    )


# --- Python


def _call_in_python(call: Call, string: Callable[[str], str]) -> str:
    name, arguments = call
    items = (f"{key}={string(value) if isinstance(value, str) else repr(value)}" for key, value in arguments.items())
    return f"{name}({', '.join(items)})"


def _lfm(string: Callable[[str], str], opening: str, closing: str) -> Callable[[Sequence[Call]], str]:
    def write(calls: Sequence[Call]) -> str:
        return f"{opening}[{', '.join(_call_in_python(call, string) for call in calls)}]{closing}"

    return write


_LFM = ("<|tool_call_start|>", "<|tool_call_end|>")


def _without_bracket(output: str) -> str:
    return output.replace(f"]{_LFM[1]}", _LFM[1])


# --- elements


def _elements(
    call: str, call_end: str, argument: str, argument_end: str, opening: str = "", closing: str = ""
) -> Callable[[Sequence[Call]], str]:
    def write(calls: Sequence[Call]) -> str:
        written = []
        for index, (name, arguments) in enumerate(calls):
            items = (
                argument.format(
                    key=key,
                    string=str(isinstance(value, str)).lower(),
                    type="string" if isinstance(value, str) else "object",
                )
                + _plain(value)
                + argument_end
                for key, value in arguments.items()
            )
            written.append(call.format(name=name, index=index + 1) + "\n" + "\n".join(items) + "\n" + call_end)
        return f"{opening}\n" + "\n".join(written) + f"\n{closing}"

    return write


def _element_damages(argument: str, argument_end: str) -> tuple[Callable[[str], str], ...]:
    return (
        lambda output: output.replace(f"{argument_end}\n{argument.format(key='r')}", f"\n{argument.format(key='r')}"),
        lambda output: output.replace("\n", ""),
        lambda output: output.replace("\n", "\n\n  "),
    )


def _xml(name: str, template: str, prefix: str, call: str, argument: str, opening: str, closing: str) -> Written:
    call_end, argument_end = f"</{prefix}{call}>", f"</{prefix}{argument}>"
    kind = ' string="{string}"' if prefix else ""
    write = _elements(
        f'<{prefix}{call} name="{{name}}">',
        call_end,
        f'<{prefix}{argument} name="{{key}}"{kind}>',
        argument_end,
        opening,
        closing,
    )
    marks = (opening, closing, call_end, argument_end, f'<{prefix}{argument} name="z">', f'<{prefix}{call} name="f">')
    damages = _element_damages(f'<{prefix}{argument} name="{{key}}"{kind.format(string="true")}>', argument_end)
    return Written(name, template, write, damages, tuple(filter(None, marks)))


# --- JSON


def _items(calls: Sequence[Call], name: str = "name", arguments: str = "arguments") -> str:
    return _json([{name: one[0], arguments: one[1]} for one in calls])


def _deepseek(call: str) -> Callable[[Sequence[Call]], str]:
    def write(calls: Sequence[Call]) -> str:
        written = (call.format(name=name, arguments=_json(arguments)) for name, arguments in calls)
        inside = "\n".join(f"<｜tool▁call▁begin｜>{one}<｜tool▁call▁end｜>" for one in written)
        return f"<｜tool▁calls▁begin｜>{inside}<｜tool▁calls▁end｜>"

    return write


_BAR_DAMAGES: tuple[Callable[[str], str], ...] = (
    lambda output: output.removeprefix("<｜tool▁calls▁begin｜>"),
    lambda output: output.removesuffix("<｜tool▁calls▁end｜>"),
    lambda output: output.replace("<｜tool▁call▁end｜>", ""),
    lambda output: output.replace("｜", "|").replace("▁", "_"),
    lambda output: output.replace("```json", "```"),
)

_TOOLS = "{% if tools %}{{ tools | tojson }}{% endif %}"
_K3 = ("<|open|>", "<|close|>", "<|sep|>")

FORMATS = (
    Written(
        "Gemma 4",
        _TOOLS + "<|tool_call>call:",
        _gemma("<|tool_call>", "<tool_call|>", '<|"|>'),
        _gemma_damages("<tool_call|>", '<|"|>'),
        ("<|tool_call>", "<tool_call|>", "call:f{", "}"),
        ('<|"|>', "<escape>"),
    ),
    Written(
        "FunctionGemma",
        _TOOLS + "<start_function_call>call:",
        _gemma("<start_function_call>", "<end_function_call>", "<escape>"),
        _gemma_damages("<end_function_call>", "<escape>"),
        ("<start_function_call>", "<end_function_call>", "call:f{", "}"),
        ('<|"|>', "<escape>"),
    ),
    Written(
        "LFM2",
        _TOOLS + "<|tool_list_start|>",
        _lfm(repr, *_LFM),
        (
            _without_bracket,
            lambda output: re.sub(r"\b(f|g)\(", r"space.\1(", output),
            lambda output: output.replace("None", "null").replace("True", "true"),
            lambda output: output.replace("s=", "s = "),
        ),
        (*_LFM, "[f(", ")]", "', "),
    ),
    Written("LFM2.5, as its template writes it", "List of tools: ", _lfm("'{}'".format, *_LFM), (), (), ("'", "\\")),
    Written("LFM2.5, bare", "List of tools: ", _lfm(repr, "", ""), (), ("[f(", ")]", "<|tool_call_end|>")),
    _xml("MiniMax M2", "<minimax:tool_call>", "", "invoke", "parameter", "<minimax:tool_call>", "</minimax:tool_call>"),
    _xml(
        "DeepSeek 3.2",
        "{% set dsml = '｜DSML｜' %}",
        "｜DSML｜",
        "invoke",
        "parameter",
        "<｜DSML｜function_calls>",
        "</｜DSML｜function_calls>",
    ),
    _xml(
        "DeepSeek V4",
        "｜DSML｜",
        "｜DSML｜",
        "invoke",
        "parameter",
        "<｜DSML｜tool_calls>",
        "</｜DSML｜tool_calls>",
    ),
    _xml("DeepSeek V4.1", "｜DSML｜", "｜DSML｜ ", "invoke", "parameter", "<｜DSML｜ calls>", "</｜DSML｜ calls>"),
    _xml(
        "GigaChat 3.5",
        "<｜GCML｜tool_calls>",
        "｜GCML｜",
        "invoke",
        "parameter",
        "<｜GCML｜tool_calls>",
        "</｜GCML｜tool_calls>",
    ),
    _xml("MiniCPM5", '<function name="', "", "function", "param", "", ""),
    Written(
        "Hunyuan 3",
        "<tool_calls:opensource>",
        _elements(
            "<tool_call:opensource>{name}<tool_sep:opensource>",
            "</tool_call:opensource>",
            "<arg_key:opensource>{key}</arg_key:opensource>\n<arg_value:opensource>",
            "</arg_value:opensource>",
            "<tool_calls:opensource>",
            "</tool_calls:opensource>",
        ),
        _element_damages(
            "<arg_key:opensource>{key}</arg_key:opensource>\n<arg_value:opensource>", "</arg_value:opensource>"
        ),
        ("</tool_calls:opensource>", "</arg_value:opensource>", "<tool_call:opensource>", "<arg_key:opensource>"),
    ),
    Written(
        "Solar Open 2",
        "<|tool_call:start|>",
        _elements(
            "<|tool_call:start|>{name}",
            "<|tool_call:end|>",
            "<|tool_arg:start|>{key}<|tool_arg:value|>",
            "<|tool_arg:end|>",
        ),
        (),
        ("<|tool_call:start|>", "<|tool_call:end|>", "<|tool_arg:start|>", "<|tool_arg:value|>", "<|tool_arg:end|>"),
    ),
    Written(
        "Kimi K3",
        "<|open|> <|close|> <|end_of_msg|>",
        _elements(
            '<|open|>call tool="{name}" index="{index}"<|sep|>',
            "<|close|>call<|sep|>",
            '<|open|>argument key="{key}" type="{type}"<|sep|>',
            "<|close|>argument<|sep|>",
        ),
        (),
        (*_K3, "<|close|>call<|sep|>", "<|close|>argument<|sep|>", "<|close|>tools<|sep|>"),
    ),
    Written(
        "Mistral",
        "[TOOL_CALLS]",
        lambda calls: "".join(f"[TOOL_CALLS]{name}[ARGS]{_json(arguments)}" for name, arguments in calls),
        (
            lambda output: output.replace("[TOOL_CALLS]", ""),
            lambda output: output.replace("[ARGS]", ""),
            lambda output: output.replace("[ARGS]", "[CALL_ID]a1b2[ARGS]"),
        ),
        ("[TOOL_CALLS]", "[ARGS]", "f[ARGS]{", "[TOOL_CALLS]f[ARGS]"),
    ),
    Written(
        "Kimi K2",
        "<|tool_calls_section_begin|>",
        lambda calls: (
            "<|tool_calls_section_begin|>"
            + "".join(
                f"<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>{_json(arguments)}<|tool_call_end|>"
                for index, (name, arguments) in enumerate(calls)
            )
            + "<|tool_calls_section_end|>"
        ),
        (
            lambda output: output.replace("functions.", "functions_").replace(":", "_", 1),
            lambda output: output.removeprefix("<|tool_calls_section_begin|>"),
            lambda output: output.replace("<|tool_call_end|>", ""),
            lambda output: output.replace("}<|tool_call_end|>", "}}<|tool_call_end|>"),
        ),
        ("<|tool_call_end|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>"),
    ),
    Written(
        "DeepSeek V3",
        "<｜tool▁calls▁begin｜>",
        _deepseek("function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```"),
        _BAR_DAMAGES,
        ("<｜tool▁calls▁end｜>", "<｜tool▁call▁end｜>", "<｜tool▁call▁begin｜>", "\n```", "```json"),
    ),
    Written(
        "DeepSeek V3.1",
        "<｜tool▁calls▁begin｜>",
        _deepseek("{name}<｜tool▁sep｜>{arguments}"),
        _BAR_DAMAGES,
        ("<｜tool▁calls▁end｜>", "<｜tool▁call▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"),
    ),
    Written(
        "Solar Open",
        "<|think|> <|content|> <|begin|> <|tool_call:begin|>",
        lambda calls: (
            "<|tool_calls|>"
            + "".join(
                f"<|tool_call:begin|>a1b2<|tool_call:name|>{name}<|tool_call:args|>{_json(arguments)}<|tool_call:end|>"
                for name, arguments in calls
            )
            + "<|calls|>"
        ),
        (),
        ("<|tool_call:end|>", "<|tool_call:args|>", "<|calls|>", "<|end|>"),
    ),
    Written(
        "Functionary 3.2",
        ">>>all >>>${recipient}",
        lambda calls: "".join(f">>>{name}\n{_json(arguments)}" for name, arguments in calls),
        (lambda output: output.replace(">>>", ">>>functions."),),
        (">>>", ">>>all\n", ">>>f\n"),
    ),
    Written(
        "Apertus",
        "<|tools_prefix|>",
        lambda calls: f"<|tools_prefix|>{_json([{name: arguments} for name, arguments in calls])}<|tools_suffix|>",
        (),
        ("<|tools_prefix|>", "<|tools_suffix|>", "}]"),
    ),
    Written(
        "Apriel",
        "<tool_calls>[",
        lambda calls: f"<tool_calls>{_items(calls)}</tool_calls>",
        (),
        ("<tool_calls>", "</tool_calls>", "}]"),
    ),
    Written(
        "GigaChat 3",
        "function call <|role_sep|> <|message_sep|>",
        lambda calls: "\n".join(f"function call<|role_sep|>\n{_items([one])[1:-1]}" for one in calls),
        (),
        ("function call<|role_sep|>", "<|role_sep|>", "}"),
    ),
    Written(
        "GigaChat 3.1",
        "<|function_call|>",
        lambda calls: "".join(f"<|function_call|>{_items([one])[1:-1]}" for one in calls),
        (),
        ("<|function_call|>", "}"),
    ),
)
