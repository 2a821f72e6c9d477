"""Word wrap for text that arrives in pieces: what was already shown of a word is taken back and put on a new line."""

from rich.cells import cell_len

MIN_COLUMNS = 10
_MARGIN_COLUMNS = 5


class WordWrap:
    """Turns pieces of text into what must be written to a terminal to show them wrapped."""

    def __init__(self) -> None:
        self._limit_columns = 0
        self._line_columns = 0
        self._word = ""

    def feed(self, text: str, columns: int) -> str:
        """What to write to a terminal that has so many `columns` now, to show `text` after the pieces before."""
        self._limit_columns = columns - _MARGIN_COLUMNS
        return "".join(map(self._feed, text))

    def _feed(self, character: str) -> str:
        if character in "\r\n":
            self._line_columns, self._word = 0, ""
            return character
        if character in " \t":
            self._word = ""
            if self._line_columns >= self._limit_columns:
                self._line_columns = 0
                return "\n"
            self._line_columns += 1
            return character
        columns = cell_len(character)
        written = character
        if self._line_columns + columns > self._limit_columns:
            written = self._break() + character
        self._line_columns += columns
        # Scripts with wide characters have no blanks: each of them is a word.
        self._word = self._word + character if columns < 2 else ""
        return written

    def _break(self) -> str:
        word_columns = cell_len(self._word)
        if word_columns == self._line_columns:  # the line is all one word, or empty: cut it here
            self._line_columns, self._word = 0, ""
            return "\n"
        self._line_columns = word_columns
        back = f"\x1b[{word_columns}D" if word_columns else ""
        return f"{back}\x1b[K\n{self._word}"
