"""Stop strings, which end the answer."""

from collections.abc import Iterable, Sequence

from swell.text.parsing.parser import Parser
from swell.text.parsing.parts import Part, Text
from swell.text.stream import partial_length


class StopStrings:
    """What `parser` gives, up to the first stop string in the answer. Those in thoughts and calls don't count.

    Text that may be the beginning of a stop string is held back. Once one is `met`, all further text is ignored.
    """

    def __init__(self, parser: Parser, stops: Sequence[str]) -> None:
        self._parser = parser
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.met = ""
        """The stop string that ended the answer; "" until then."""
        self.cut = ""
        """The text from that stop string on, as far as it was known."""

    def feed(self, text: str) -> list[Part]:
        if not self._stops:
            return self._parser.feed(text)
        if self.met:
            return []
        parts = self._before_stop(self._parser.feed(text))
        if self.met:
            self.cut += _text(self._parser.finish())
        return parts

    def finish(self) -> list[Part]:
        if self.met:
            return []
        parts = self._before_stop(self._parser.finish())
        return parts if self.met else [*parts, *self._release()]

    def _before_stop(self, parts: Sequence[Part]) -> list[Part]:
        shown: list[Part] = []
        for index, part in enumerate(parts):
            if not isinstance(part, Text):
                shown += [*self._release(), part]
                continue
            text = self._held + part.text
            end = self._look(text)
            if end:
                shown.append(Text(text[:end]))
            if self.met:
                self.cut = text[end:] + _text(parts[index + 1 :])
                break
            self._held = text[end:]
        return shown

    def _look(self, text: str) -> int:
        """How many characters of `text` may be shown; sets `met`.

        Of several stop strings the first one counts, and of several at one place the longest.
        """
        found = [(index, -len(stop), stop) for stop in self._stops if (index := text.find(stop)) >= 0]
        if not found:
            return len(text) - partial_length(text, self._stops)
        end, _, self.met = min(found)
        return end

    def _release(self) -> list[Part]:
        held, self._held = self._held, ""
        return [Text(held)] if held else []


def _text(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))
