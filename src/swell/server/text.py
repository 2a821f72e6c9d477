"""From token bytes to text that may be shown: whole characters only, and nothing that may become a stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Feeds on the bytes of tokens, gives text. Once `stopped`, all further bytes are ignored."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False
        """Whether a stop string was met."""
        self.cut_bytes = 0
        """How many bytes at the end of what it fed on belong to the stop string or come after its beginning."""

    def feed(self, data: bytes) -> str:
        """Text that is certain now: no half character, no beginning of a stop string."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(data)
        if not self._stops:
            return text
        found = [index for index in (text.find(stop) for stop in self._stops) if index >= 0]
        if found:
            self.stopped, self._held = True, ""
            shown, cut = text[: min(found)], text[min(found) :]
            self.cut_bytes = len(cut.encode()) + len(self._decoder.getstate()[0])
            return shown
        held = partial_length(text, self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, when nothing follows; an incomplete character is dropped."""
        held, self._held = self._held, ""
        return "" if self.stopped else held


def partial_length(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of `text` that begins one of `markers` without completing it; there must be some."""
    longest = max(len(marker) for marker in markers) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(len(marker) > length and marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0
