"""How models mark their tool calls, and which of these formats a model uses, as its chat template shows it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from swell.text.parsing import calls, elements
from swell.text.parsing.blocks import Block, BlockChoice, Json, Mistral, Tagged, TaggedJson
from swell.text.parsing.calls import Read, Tools
from swell.text.parsing.elements import Elements
from swell.text.parsing.enclosed import JSON_QUOTES, PYTHON_QUOTES, Enclosed, Enclosure, Quotes
from swell.text.parsing.gemma import QUOTES as GEMMA_QUOTES
from swell.text.parsing.gemma import read_cut_gemma, read_gemma
from swell.text.parsing.markup import FUNCTION, KEYS, MarkedCall
from swell.text.parsing.python import BareList, read_cut_python, read_python
from swell.text.parsing.recipients import Recipient


@dataclass(frozen=True)
class ToolFormat:
    """How a model marks its calls. One of the texts `signs` stands in the chat template of such a model.

    `opening` is the tag before a call. If it is "", nothing marks calls, and a call must stand first in the answer or
    follow another one. `begin` makes the block that reads calls from that tag on. `controls` are the tags that may be
    control tokens, whose text must be asked for; `closings` are tags of which one may be left over after a call.
    """

    signs: tuple[str, ...]
    opening: str
    begin: Callable[[Tools], Block]
    controls: tuple[str, ...] = ()
    closings: tuple[str, ...] = ()


def _tagged(
    opening: str,
    closing: str,
    read: Read,
    *,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
) -> ToolFormat:
    def begin(tools: Tools) -> Block:
        return Tagged(opening, closing, read, tools)

    return ToolFormat(tuple(signs) or (opening,), opening, begin, (opening, closing, *inside), (closing,))


def _json(
    opening: str,
    closing: str = "",
    *,
    read: Read = calls.read_json,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
) -> ToolFormat:
    def begin(tools: Tools) -> Block:
        return TaggedJson(opening, closing, read, tools) if closing else Json(opening, read, tools)

    tags = tuple(tag for tag in (opening, closing) if tag)
    return ToolFormat(tuple(signs) or (opening,), opening, begin, (*tags, *inside), tags[1:])


def _any(opening: str, closing: str) -> ToolFormat:
    """Calls between tags in any of three forms: JSON (Qwen 2.5 and 3), a function (Qwen 3 Coder), keys (GLM)."""

    def begin(tools: Tools) -> Block:
        return BlockChoice(
            opening,
            {
                "{": lambda: TaggedJson(opening, closing, calls.read_json, tools),
                "[": lambda: TaggedJson(opening, closing, calls.read_json, tools),
                "```": lambda: TaggedJson(opening, closing, calls.read_json, tools),
                "<function=": lambda: MarkedCall(FUNCTION, tools),
                "": lambda: MarkedCall(KEYS, tools),
            },
        )

    return ToolFormat((opening,), opening, begin, (opening, closing), (closing, "</function>"))


def _enclosed(enclosure: Enclosure, *, signs: Sequence[str] = (), inside: tuple[str, ...] = ()) -> ToolFormat:
    tags = (enclosure.opening, enclosure.closing)
    return ToolFormat(tuple(signs) or tags[:1], tags[0], partial(Enclosed, enclosure), (*tags, *inside), tags[1:])


def _elements(
    written: Elements,
    opening: str = "",
    closing: str = "",
    *,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
) -> ToolFormat:
    """Calls between `opening` and `closing`, or, without these, one by one between tags of their own."""
    reads_tags = not opening
    opening, closing = opening or written.call_begin, closing or written.call_end
    quotes = (Quotes(written.value_begin, written.argument_end),)
    enclosure = Enclosure(opening, closing, quotes, written.read, reads_tags=reads_tags)
    return ToolFormat(tuple(signs) or (opening,), opening, partial(Enclosed, enclosure), (opening, closing, *inside))


_DSML = ("｜DSML｜",)

_BARE_SIGNS = ("<|python_tag|>", "List of tools: ")  # Llama 3, LFM2.5
BARE = ToolFormat(_BARE_SIGNS, "", lambda tools: BareList(tools, otherwise=Json("", calls.read_known_json, tools)))
"""Calls without tags: of models that may leave the tags out, and of those whose template asks for JSON in its words."""

_FORMATS = (
    ToolFormat((Mistral.OPENING,), Mistral.OPENING, Mistral, (Mistral.OPENING, "[ARGS]", "[CALL_ID]")),
    _tagged(
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        calls.read_deepseek,
        inside=("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    ),
    _elements(elements.DSML, "<｜DSML｜function_calls>", "</｜DSML｜function_calls>", signs=_DSML, inside=_DSML),  # 3.2
    _elements(elements.DSML, "<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", signs=_DSML),  # DeepSeek V4
    _elements(elements.DSML_SPACED, "<｜DSML｜ calls>", "</｜DSML｜ calls>", signs=_DSML),  # DeepSeek V4.1
    _tagged(
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        calls.read_kimi,
        inside=("<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"),
    ),
    _elements(elements.KIMI, signs=("<|end_of_msg|>",)),  # Kimi K3
    _enclosed(
        Enclosure("<|tool_call_start|>", "<|tool_call_end|>", PYTHON_QUOTES, read_python, read_cut_python),
        signs=("<|tool_call_start|>", "<|tool_list_start|>", "List of tools: "),  # LFM2, LFM2.5
    ),
    _enclosed(
        Enclosure("<|tool_call>", "<tool_call|>", GEMMA_QUOTES, read_gemma, read_cut_gemma),
        inside=('<|"|>',),  # Gemma 4
    ),
    _enclosed(
        Enclosure("<start_function_call>", "<end_function_call>", GEMMA_QUOTES, read_gemma, read_cut_gemma),
        inside=("<escape>",),  # FunctionGemma
    ),
    _elements(elements.MINIMAX, "<minimax:tool_call>", "</minimax:tool_call>"),  # MiniMax M2
    _elements(elements.MINICPM, signs=("<function name=",), inside=("<function", "<param", "</param>")),  # MiniCPM5
    _elements(
        elements.HUNYUAN,
        "<tool_calls:opensource>",
        "</tool_calls:opensource>",
        signs=(":opensource>",),
        inside=tuple(
            f"<{tag}:opensource>"
            for tag in ("tool_call", "/tool_call", "tool_sep", "arg_key", "/arg_key", "arg_value", "/arg_value")
        ),
    ),
    _elements(elements.GCML, "<｜GCML｜tool_calls>", "</｜GCML｜tool_calls>"),  # GigaChat 3.5
    _json("<|function_call|>"),  # GigaChat 3.1
    _json("function call<|role_sep|>", signs=("<|role_sep|>",), inside=("<|role_sep|>",)),  # GigaChat 3
    _elements(elements.SOLAR, inside=("<|tool_arg:start|>", "<|tool_arg:value|>", "<|tool_arg:end|>")),  # Solar Open 2
    _enclosed(
        Enclosure("<|tool_call:begin|>", "<|tool_call:end|>", (JSON_QUOTES,), calls.read_solar),
        inside=("<|tool_call:name|>", "<|tool_call:args|>"),  # Solar Open
    ),
    ToolFormat((">>>${recipient}",), Recipient.OPENING, Recipient),  # Functionary 3.2
    _json("<|tools_prefix|>", "<|tools_suffix|>", read=calls.read_named_json),  # Apertus
    _json("<tool_calls>", "</tool_calls>"),  # Apriel, Hunyuan A13B, Jamba
    _json("<|START_ACTION|>", "<|END_ACTION|>"),  # Cohere
    _any("<seed:tool_call>", "</seed:tool_call>"),
    _json("<TOOLCALL>", "</TOOLCALL>"),  # Nemotron
    _json("<|tool_call|>"),  # Granite 3, Phi 4
    _any("<tool_call>", "</tool_call>"),  # Hermes, Qwen, GLM, Granite 4
    ToolFormat(  # Qwen 3 Coder may forget <tool_call>
        ("<function=",), "<function=", partial(MarkedCall, FUNCTION), ("<function=", "</function>"), ("</tool_call>",)
    ),
    _enclosed(Enclosure("```tool_code", "```", PYTHON_QUOTES, read_python, read_cut_python)),  # Gemma 3
    _json("```tool_call", "```"),
    _enclosed(  # Olmo 3
        Enclosure("<function_calls>", "</function_calls>", PYTHON_QUOTES, read_python, read_cut_python)
    ),
    _json("<|python_tag|>"),  # Llama 3.1
)


def tool_formats(template: str) -> tuple[ToolFormat, ...]:
    """The formats in which a model with this chat template may write its calls; none if it shows none."""
    known = tuple(one for one in _FORMATS if any(sign in template for sign in one.signs))
    may_be_bare = any(sign in template for sign in BARE.signs) or (not known and _asks_for_json(template))
    return (*known, BARE) if may_be_bare else known


_UNWRITTEN = re.compile(r"{#.*?(?:#}|\Z)|{%[-+]?\s*(?:el)?if\b.*?(?:%}|\Z)", re.DOTALL)
"""Comments and conditions. One that isn't closed reaches to the end, so that each character is looked at once."""
_JSON_CALL = re.compile(
    # A name in JSON that doesn't follow a tag: that tag would be an unknown one.
    r"""[^>\s\[{][\s\[{]*\\?["'](?:(?:tool_)?name|function)\\?["']\s*:"""
    r"""|\btool_calls?(?:\.function|\[["']function["']\])?\s*\|\s*tojson"""
)


def _asks_for_json(template: str) -> bool:
    """Whether a template that shows no known tags wants calls as JSON.

    It does if it says so in its words, if it writes earlier calls as JSON, or if it doesn't say how to call.
    """
    if "tools" not in template and "tool_call" not in template:
        return False
    says_how = re.search("call|invo", _UNWRITTEN.sub("", template), re.IGNORECASE) is not None
    names = "arguments" in template or "parameters" in template
    return not says_how or (names and _JSON_CALL.search(template) is not None)
