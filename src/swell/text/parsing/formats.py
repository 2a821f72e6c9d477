"""How models mark their tool calls, and which of these formats a model uses, as its chat template shows it."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from swell.text.parsing import calls, elements, minimax, mistral, sections
from swell.text.parsing.blocks import Block, BlockChoice, Json, TaggedJson
from swell.text.parsing.calls import Read, Tools
from swell.text.parsing.elements import Elements
from swell.text.parsing.enclosed import JSON_QUOTES, PYTHON_QUOTES, Enclosed, Enclosure, Quotes
from swell.text.parsing.gemma import QUOTES as GEMMA_QUOTES
from swell.text.parsing.gemma import read_cut_gemma, read_gemma
from swell.text.parsing.generic import NameFirst, Unopened
from swell.text.parsing.markup import FUNCTION, KEYS, MarkedCall
from swell.text.parsing.python import BareList, read_cut_python, read_known_python, read_python
from swell.text.parsing.recipients import Recipient
from swell.text.parsing.sections import SectionBlock, SectionTags


@dataclass(frozen=True)
class ToolFormat:
    """How a model marks its calls. One of the texts `signs` stands in the chat template of such a model.

    `opening` is the tag before a call; models may write one of `others`. If it is "", nothing marks calls, and a call
    must stand first in the answer or follow another one. `begin` makes the block that reads calls from that tag on.
    `controls` are the tags that may be control tokens, whose text must be asked for; `closings` are tags of which one
    may be left over after a call. `by_name` is how a call begins that lacks its tag, with `{name}` for that of a tool.
    """

    signs: tuple[str, ...]
    opening: str
    begin: Callable[[Tools], Block]
    controls: tuple[str, ...] = ()
    closings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    by_name: tuple[str, ...] = ()

    def openings(self, tools: Iterable[str]) -> tuple[str, ...]:
        """All texts that a call of one of `tools` may begin with."""
        named = (one.replace("{name}", name) for one in self.by_name for name in tools)
        return tuple(filter(None, (self.opening, *self.others, *named)))


def _json(
    opening: str,
    closing: str = "",
    *,
    read: Read = calls.read_json,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
    left_over: tuple[str, ...] = (),
) -> ToolFormat:
    def begin(tools: Tools) -> Block:
        return TaggedJson(opening, closing, read, tools) if closing else Json(opening, read, tools)

    tags = tuple(tag for tag in (opening, closing) if tag)
    return ToolFormat(tuple(signs) or (opening,), opening, begin, (*tags, *inside), (*tags[1:], *left_over))


def _python_tag() -> ToolFormat:
    """Calls of Llama 3.1: JSON or Python after a tag, up to the end."""
    opening, closing = "<|python_tag|>", "<|eom_id|>"
    written = Enclosure(opening, closing, PYTHON_QUOTES, read_known_python)
    forms: dict[str, Callable[[Tools], Block]] = {
        "{": partial(Json, opening, calls.read_json),
        "[": partial(Json, opening, calls.read_json),
        "": partial(Enclosed, written),
    }
    return ToolFormat(
        signs=(opening,),
        opening=opening,
        begin=lambda tools: BlockChoice(opening, {start: partial(form, tools) for start, form in forms.items()}),
        controls=(opening,),
        closings=(closing,),
    )


_FUNCTION_ENDS = ("</function>", "</function_invocation>")


def _any(opening: str, closing: str) -> ToolFormat:
    """Calls between tags in any of three forms: JSON (Qwen 2.5 and 3), a function (Qwen 3 Coder), keys (GLM)."""

    def begin(tools: Tools) -> Block:
        return BlockChoice(
            opening,
            {
                "{": lambda: TaggedJson(opening, closing, calls.read_json, tools),
                "[": lambda: TaggedJson(opening, closing, calls.read_json, tools),
                "```": lambda: TaggedJson(opening, closing, calls.read_json, tools),
                "<function": lambda: MarkedCall(FUNCTION, tools),
                "": lambda: NameFirst(opening, closing, tools, otherwise=MarkedCall(KEYS, tools)),
            },
        )

    return ToolFormat(
        signs=(opening,),
        opening=opening,
        begin=lambda tools: Unopened(opening, closing, begin(tools)),
        controls=(opening, closing),
        closings=(closing, *_FUNCTION_ENDS),
        by_name=(
            '{"name": "{name}"',
            '{"name":"{name}"',
            '{\n  "name": "{name}"',
            "{name}\n<arg_key>",
            "{name}<arg_key>",
        ),
    )


def _enclosed(
    enclosure: Enclosure,
    *,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
    left_over: tuple[str, ...] = (),
    by_name: tuple[str, ...] = (),
) -> ToolFormat:
    opening, closing = enclosure.opening, enclosure.closing
    return ToolFormat(
        signs=tuple(signs) or (opening,),
        opening=opening,
        begin=lambda tools: Unopened(opening, "", Enclosed(enclosure, tools)),
        controls=(opening, closing, *inside),
        closings=(closing, *left_over),
        by_name=by_name,
    )


def _elements(
    written: Elements,
    opening: str = "",
    closing: str = "",
    *,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
) -> ToolFormat:
    """Calls between `opening` and `closing`, or, where these are missing, one by one between tags of their own."""
    quotes = (Quotes(written.value_begin, written.argument_end),)
    alone = partial(Enclosed, Enclosure(written.call_begin, written.call_end, quotes, written.read, reads_tags=True))
    if not opening:
        opening, closing = written.call_begin, written.call_end
        return ToolFormat(tuple(signs) or (opening,), opening, alone, (opening, closing, *inside), (closing,))
    together = partial(Enclosed, Enclosure(opening, closing, quotes, written.read))
    return ToolFormat(
        signs=tuple(signs) or (opening,),
        opening=opening,
        begin=lambda tools: BlockChoice("", {opening: lambda: together(tools), "": lambda: alone(tools)}),
        controls=(opening, closing, *inside),
        closings=(closing,),
        others=(written.call_begin,),
    )


def _sections(section: SectionTags) -> ToolFormat:
    """Calls in a section, of which the tag before a call, too, may be the first."""
    opening, *others = (*section.openings, *section.begins)
    tags = (section.openings, section.begins, section.separators, section.ends, section.closings)
    return ToolFormat(
        signs=(opening, section.begins[0]),
        opening=opening,
        begin=partial(SectionBlock, section),
        controls=tuple(one[0] for one in tags),
        closings=(section.ends[0], section.closings[0]),
        others=tuple(others),
    )


_DSML = ("｜DSML｜",)

_BARE_SIGNS = ("<|python_tag|>", "List of tools: ")  # Llama 3, LFM2.5
BARE = ToolFormat(
    signs=_BARE_SIGNS,
    opening="",
    begin=lambda tools: BareList(tools, otherwise=Json("", calls.read_known_json, tools)),
    by_name=("[{name}(",),
)
"""Calls without tags: of models that may leave the tags out, and of those whose template asks for JSON in its words."""

_FORMATS = (
    ToolFormat(
        signs=(mistral.OPENING,),
        opening=mistral.OPENING,
        begin=mistral.Mistral,
        controls=(mistral.OPENING, mistral.ARGUMENTS, mistral.CALL_ID),
        by_name=("{name}" + mistral.ARGUMENTS,),
    ),
    _sections(sections.DEEPSEEK),
    _elements(elements.DSML, "<｜DSML｜function_calls>", "</｜DSML｜function_calls>", signs=_DSML, inside=_DSML),  # 3.2
    _elements(elements.DSML, "<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", signs=_DSML),  # DeepSeek V4
    _elements(elements.DSML_SPACED, "<｜DSML｜ calls>", "</｜DSML｜ calls>", signs=_DSML),  # DeepSeek V4.1
    _sections(sections.KIMI),
    _elements(elements.KIMI, signs=("<|end_of_msg|>",)),  # Kimi K3
    _enclosed(
        Enclosure("<|tool_call_start|>", "<|tool_call_end|>", PYTHON_QUOTES, read_python, read_cut_python),
        signs=("<|tool_call_start|>", "<|tool_list_start|>", "List of tools: "),  # LFM2, LFM2.5
    ),
    _enclosed(
        Enclosure("<|tool_call>", "<tool_call|>", GEMMA_QUOTES, read_gemma, read_cut_gemma),
        inside=('<|"|>',),  # Gemma 4
        left_over=("<|tool_response>",),
        by_name=("call:{name}{",),
    ),
    _enclosed(
        Enclosure("<start_function_call>", "<end_function_call>", GEMMA_QUOTES, read_gemma, read_cut_gemma),
        inside=("<escape>",),  # FunctionGemma
        left_over=("<start_function_response>",),
        by_name=("call:{name}{",),
    ),
    _enclosed(
        Enclosure(minimax.OPENING, minimax.CLOSING, (), minimax.read_minimax),
        signs=(minimax.MARK,),
        inside=(minimax.MARK,),
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
    _json("<longcat_tool_call>", "</longcat_tool_call>"),
    _json("<tool_calls>", "</tool_calls>"),  # Apriel, Hunyuan A13B, Jamba
    _json("<|START_ACTION|>", "<|END_ACTION|>"),  # Cohere
    _any("<seed:tool_call>", "</seed:tool_call>"),
    _json("<TOOLCALL>", "</TOOLCALL>"),  # Nemotron
    _json("<|tool_call|>", left_over=("<|/tool_call|>",)),  # Granite 3, Phi 4
    _json("<|action_start|><|plugin|>", "<|action_end|>", inside=("<|action_start|>", "<|plugin|>")),  # InternLM
    _any("<tool_call>", "</tool_call>"),  # Hermes, Qwen, GLM, Granite 4
    ToolFormat(  # Qwen 3 Coder may forget <tool_call>, and Llama 3 writes JSON between these
        signs=("<function=", "<|python_tag|>"),
        opening="<function=",
        begin=partial(MarkedCall, FUNCTION),
        controls=("<function=", "</function>"),
        closings=("</tool_call>", *_FUNCTION_ENDS),
    ),
    _enclosed(Enclosure("```tool_code", "```", PYTHON_QUOTES, read_python, read_cut_python)),  # Gemma 3
    _json("```tool_call", "```"),
    _enclosed(  # Olmo 3
        Enclosure("<function_calls>", "</function_calls>", PYTHON_QUOTES, read_python, read_cut_python)
    ),
    _python_tag(),
    _enclosed(Enclosure("<|python_start|>", "<|python_end|>", PYTHON_QUOTES, read_known_python)),  # Llama 4
)

_FALLBACKS = tuple(
    _json(opening, read=calls.read_known_json, left_over=tuple(closing))
    for opening, *closing in (
        ("<tool_call>", "</tool_call>"),
        ("<function_call>", "</function_call>"),
        ("<toolcall>", "</toolcall>"),
        ("<tools>", "</tools>"),
        ("<|tool_call|>", "<|/tool_call|>"),
        ("functools",),  # Phi 4 mini
    )
)


def with_fallbacks(formats: Sequence[ToolFormat]) -> list[ToolFormat]:
    """`formats`, and tags that any model may write around JSON; there, only tools of the request are called."""
    known = {opening for one in formats for opening in one.openings(())}
    return [*formats, *(one for one in _FALLBACKS if formats and one.opening not in known)]


def tool_formats(template: str) -> tuple[ToolFormat, ...]:
    """The formats in which a model with this chat template may write its calls; none if it shows none."""
    return marked_formats(template) or ((BARE,) if _asks_for_json(template) else ())


def marked_formats(template: str) -> tuple[ToolFormat, ...]:
    """The formats of which a sign stands in a chat template."""
    return tuple(one for one in (*_FORMATS, BARE) if any(sign in template for sign in one.signs))


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
