"""Where in a generation its grammar begins: after the thoughts, if the model may have any."""

from collections import deque
from collections.abc import Callable

from swell.llama.model import Vocabulary
from swell.sampling import ThinkingPreamble

Spell = Callable[[bytes], list[int]]
"""Tokens that stand for exactly these bytes."""

_SPACE = b" \t\r\n"
"""What may stand before a document: JSON knows no other white space."""


class GrammarTrigger:
    """Follows the preamble of a document token by token, and makes sure that it ends where a document can begin."""

    def __init__(self, vocabulary: Vocabulary, preamble: ThinkingPreamble, spell: Spell) -> None:
        self._vocabulary = vocabulary
        self._spell = spell
        self._opening = preamble.opening.encode()
        self._closings = [closing.encode() for closing in preamble.closings]
        self._held = b""
        """The end of what was written, as far as it may be part of a tag."""
        self._forced: deque[int] = deque()
        self._is_open = not self._opening
        self._is_closed = False

    @property
    def is_passed(self) -> bool:
        """Whether the grammar binds from now on."""
        return self._is_closed and not self._forced

    def pass_on(self, token: int) -> int | None:
        """The token to go on with; None if the document begins here, so that the grammar has to choose it.

        It is another than `token` where that is not for the model to choose: an opening tag that has begun is
        completed, a token that would go on behind the closing tag is cut, and instead of ending in the middle of its
        thoughts, the model closes them.
        """
        if not self._forced:
            if not self._is_open:
                self._enter(token)
            if self.is_passed:
                return None
            if self._is_open and not self._forced:
                self._follow(token)
        return self._forced.popleft() if self._forced else token

    def _enter(self, token: int) -> None:
        """Find out by `token` whether the preamble begins or is missing."""
        written = b"" if self._vocabulary.is_end(token) else self._vocabulary.written(token)
        text = (self._held + written).lstrip(_SPACE)
        if text.startswith(self._opening):
            self._is_open, self._held = True, b""
        elif written and self._opening.startswith(text):
            self._held = text
        elif self._held:
            self._forced.extend(self._spell(self._opening[len(self._held) :]))
            self._is_open, self._held = True, b""
        else:
            self._is_closed = True

    def _follow(self, token: int) -> None:
        """Go on inside the preamble, and find its end."""
        if self._vocabulary.is_end(token):
            self._forced.extend(self._spell(self._closings[0]))
            self._is_closed = True
            return
        written = self._vocabulary.written(token)
        self._held += written
        ends = [index + len(one) for one in self._closings if (index := self._held.find(one)) >= 0]
        if not ends:
            self._held = self._held[-max(map(len, self._closings)) :]
            return
        self._is_closed = True
        behind = self._held[min(ends) :]
        if behind.strip(_SPACE):
            self._forced.extend(self._spell(written[: len(written) - len(behind)]))
