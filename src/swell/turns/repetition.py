"""Whether a model writes the same piece again and again, as small ones do when they have lost the thread."""

import codecs

REPEATS_MAX = 30
"""So many equal pieces in a row may be meant; Ollama's number."""


class Repetition:
    """Feeds on the bytes of tokens and compares pieces: whole characters, without the white space around them.

    So white space without an end is one, too; it is what a grammar for JSON leaves a lost model to write.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._piece = ""
        self._count = 0

    @property
    def is_endless(self) -> bool:
        """Whether more than REPEATS_MAX equal pieces came in a row, up to the last one."""
        return self._count > REPEATS_MAX

    def feed(self, data: bytes) -> None:
        piece = self._decoder.decode(data).strip()
        if not piece and self._decoder.getstate()[0]:
            return  # half a character, maybe after a blank: one of several tokens that are a piece together
        self._count = self._count + 1 if piece == self._piece else 1
        self._piece = piece
