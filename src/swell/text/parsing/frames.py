"""What some models write around thoughts, answers and calls, beside the tags of each."""

import re
from dataclasses import dataclass

from swell.text.parsing.parts import Part, Text
from swell.text.parsing.thinking import ThinkingTags
from swell.text.stream import partial_length


@dataclass(frozen=True)
class Frame:
    """What a family of models writes. `signs` are texts that all stand in the chat template of such a model.

    An answer begins with `answer`. `dropped` are texts that are never shown. Where a prompt ends with `begun`, that is
    read as the beginning of the output. `controls` are the control tokens that the tags and these texts are made of.
    """

    signs: tuple[str, ...]
    dropped: tuple[str, ...]
    tags: ThinkingTags | None = None
    answer: str = ""
    begun: str = ""
    controls: tuple[str, ...] = ()


_FRAMES = (
    Frame(  # Kimi K3
        signs=("<|open|>", "<|close|>", "<|end_of_msg|>"),
        tags=ThinkingTags("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        answer="<|open|>response<|sep|>",
        dropped=(
            "<|open|>response<|sep|>",
            "<|close|>response<|sep|>",
            "<|open|>tools<|sep|>",
            "<|close|>tools<|sep|>",
            "<|close|>message<|sep|>",
            "<|end_of_msg|>",
        ),
        controls=("<|open|>", "<|close|>", "<|sep|>"),
    ),
    Frame(  # Solar Open
        signs=("<|think|>", "<|content|>", "<|begin|>"),
        tags=ThinkingTags("<|think|>", "<|end|>"),
        answer="<|begin|>assistant<|content|>",
        dropped=("<|begin|>assistant", "<|content|>", "<|tool_calls|>", "<|calls|>", "<|end|>", "<|flush|>"),
        controls=("<|begin|>", "<|content|>", "<|tool_calls|>", "<|calls|>", "<|flush|>"),
    ),
    Frame(
        signs=(">>>all", ">>>${recipient}"), answer=">>>all\n", dropped=(">>>all\n",), begun=">>>"
    ),  # Functionary 3.2
)


def frame_of(template: str) -> Frame | None:
    """The frame of a model with this chat template; None if it writes none."""
    return next((one for one in _FRAMES if all(sign in template for sign in one.signs)), None)


class FrameParser:
    """Takes the `dropped` texts of a frame out of the answer."""

    def __init__(self, frame: Frame) -> None:
        self._dropped = frame.dropped
        self._pattern = re.compile("|".join(map(re.escape, frame.dropped)))
        self._held = ""

    def feed(self, text: str) -> list[Part]:
        *pieces, rest = self._pattern.split(self._held + text)
        length = len(rest) - partial_length(rest, self._dropped)
        self._held = rest[length:]
        kept = "".join([*pieces, rest[:length]])
        return [Text(kept)] if kept else []

    def finish(self) -> list[Part]:
        held, self._held = self._held, ""
        return [Text(held)] if held else []
