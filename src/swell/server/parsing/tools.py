"""Tool calls in the answer: which format a model uses, and taking them out of the text."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swell.server.parsing import calls
from swell.server.parsing.blocks import Block, Json, Mistral, Tagged
from swell.server.parsing.calls import Read, Tools
from swell.server.parsing.parts import Part, Text
from swell.server.text import partial_length


@dataclass(frozen=True)
class ToolFormat:
    """How a model marks its calls. `signs`: texts of which one stands in the chat template of such a model.

    `opening` begins a call; where it is empty, a call is JSON that nothing marks, and has to be the first of the
    answer. `controls` are all tags that may be control tokens, which are otherwise not shown.
    """

    signs: tuple[str, ...]
    opening: str
    begin: Callable[[Tools], Block]
    controls: tuple[str, ...] = ()


def _tagged(
    opening: str,
    closing: str,
    read: Read,
    *,
    signs: Sequence[str] = (),
    inside: tuple[str, ...] = (),
    keeps_tags: bool = False,
) -> ToolFormat:
    def begin(tools: Tools) -> Block:
        return Tagged(opening, closing, read, tools, keeps_tags=keeps_tags)

    return ToolFormat(tuple(signs) or (opening,), opening, begin, (opening, closing, *inside))


def _json(opening: str, read: Read, *, signs: Sequence[str] = ()) -> ToolFormat:
    return ToolFormat(
        tuple(signs) or (opening,), opening, lambda tools: Json(opening, read, tools), (opening,) if opening else ()
    )


BARE_JSON = _json("", calls.read_known_json, signs=("tool",))
"""For every model that is told of tools in any other way than the known ones, and for Llama 3."""

_FORMATS = (
    ToolFormat((Mistral.OPENING,), Mistral.OPENING, Mistral, (Mistral.OPENING, "[ARGS]", "[CALL_ID]")),
    _tagged(
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        calls.read_deepseek,
        inside=("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    ),
    _tagged(
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        calls.read_kimi,
        inside=("<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"),
    ),
    _tagged(
        "<|tool_call_start|>",
        "<|tool_call_end|>",
        calls.read_python,
        signs=("<|tool_call_start|>", "<|tool_list_start|>"),  # LFM2
    ),
    _tagged("<|tool_call>", "<tool_call|>", calls.read_gemma, inside=('<|"|>',)),  # Gemma 4
    _tagged("<start_function_call>", "<end_function_call>", calls.read_gemma, inside=("<escape>",)),  # FunctionGemma
    _tagged("<|START_ACTION|>", "<|END_ACTION|>", calls.read_json),  # Cohere
    _tagged("<seed:tool_call>", "</seed:tool_call>", calls.read_tool_call),
    _tagged("<TOOLCALL>", "</TOOLCALL>", calls.read_json),  # Nemotron
    _json("<|tool_call|>", calls.read_json),  # Granite 3, Phi 4
    _tagged("<tool_call>", "</tool_call>", calls.read_tool_call),  # Hermes, Qwen, GLM, Granite 4
    _tagged("<function=", "</function>", calls.read_function, keeps_tags=True),  # Qwen 3 Coder may forget <tool_call>
    _tagged("```tool_code", "```", calls.read_python),  # Gemma 3
    _tagged("```tool_call", "```", calls.read_tool_call),
    _json("<|python_tag|>", calls.read_json),  # Llama 3.1
)


def tool_formats(template: str) -> tuple[ToolFormat, ...]:
    """The formats in which a model with this chat template may write its calls; none if it doesn't know tools."""
    known = tuple(one for one in _FORMATS if any(sign in template for sign in one.signs))
    if not known or known[-1].opening == "<|python_tag|>":
        known += (BARE_JSON,) if "tools" in template or "tool_call" in template else ()
    return known


class ToolParser:
    """Takes calls out of the answer. Blank space around them goes too; what is no call after all stays text."""

    def __init__(self, formats: Sequence[ToolFormat], tools: Tools) -> None:
        self._marked = {one.opening: one for one in formats if one.opening}
        self._openings = re.compile("|".join(map(re.escape, sorted(self._marked, key=len, reverse=True))) or r"(?!)")
        self._bare = next((one for one in formats if not one.opening), None)
        self._skipped = _BLANK
        """What may stand before JSON that nothing marks."""
        self._tools = tools
        self._held = ""
        self._blank = ""
        """Blank space before what is held: it counts only if no call follows."""
        self._after_call = False
        self._block: Block | None = None

    def feed(self, text: str) -> list[Part]:
        self._held += text
        return self._take(is_final=False)

    def finish(self) -> list[Part]:
        parts = self._take(is_final=True)
        rest = self._blank + self._held
        return [*parts, Text(rest)] if rest and not (self._after_call and rest.isspace()) else parts

    def _take(self, *, is_final: bool) -> list[Part]:
        parts: list[Part] = []
        while self._held:
            if self._block is None:
                parts += self._text(is_final=is_final)
                if self._block is None:
                    return parts
            found = self._block.look(self._held, is_final=is_final)
            if found is None:
                return parts
            settled, self._held = self._held[: found.length], self._held[found.length :]
            self._block = None
            if found.calls:
                parts += found.calls
                self._blank, self._after_call, self._skipped = "", True, _BLANK + ";,"
            else:
                self._answer(parts, settled)
        return parts

    def _text(self, *, is_final: bool) -> list[Part]:
        """Takes the text before the next call, and begins that call if there is one."""
        parts: list[Part] = []
        if self._bare is not None and (start := self._held.lstrip(self._skipped))[:1] in ("{", "[", ""):
            self._move_blank(len(self._held) - len(start))
            self._block = self._bare.begin(self._tools) if start else None
            return parts
        self._move_blank(len(self._held) - len(self._held.lstrip()))
        if found := self._openings.search(self._held):
            end = found.start()
        else:
            end = len(self._held) - (partial_length(self._held, list(self._marked)) if self._marked else 0)
            end = len(self._held) if is_final else end
        before = self._held[:end].rstrip()
        if before:
            self._answer(parts, before)
            self._held, end = self._held[len(before) :], end - len(before)
        self._move_blank(end)
        if found:
            self._block = self._marked[found[0]].begin(self._tools)
        return parts

    def _move_blank(self, length: int) -> None:
        self._blank += self._held[:length]
        self._held = self._held[length:]

    def _answer(self, parts: list[Part], text: str) -> None:
        blank = "" if self._after_call and self._blank.isspace() else self._blank
        parts.append(Text(blank + text))
        self._blank, self._after_call, self._bare = "", False, None


_BLANK = " \t\r\n"
