"""What a terminal shows of what is written to it, as far as progress needs one."""

import re

_PIECE = re.compile(r"\x1b\[\??(?P<number>[0-9]*)(?P<code>[A-Za-z])|(?P<text>.)", re.DOTALL)


class Screen:
    """Lines of any number. It moves the cursor, and wraps what is too long, as terminals do."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._lines = [""]
        self._row, self._column = 0, 0
        self.shows_cursor = True

    def write(self, text: str) -> None:
        for piece in _PIECE.finditer(text):
            if piece["code"]:
                self._obey(piece["code"], piece["number"])
            elif piece["text"] == "\r":
                self._column = 0
            elif piece["text"] == "\n":
                self._row, self._column = self._row + 1, 0  # terminals go to the beginning, too, unless they are raw
            else:
                self._put(piece["text"])
            self._lines += [""] * (self._row + 1 - len(self._lines))

    def _obey(self, code: str, number: str) -> None:
        if code == "A":
            self._row -= int(number)
            assert self._row >= 0
        elif code == "J":
            assert self._column == 0
            del self._lines[self._row :]
        elif code in "hl" and number == "25":
            self.shows_cursor = code == "h"
        else:
            raise AssertionError(f"a terminal isn't asked for {code}")

    def _put(self, character: str) -> None:
        if self._column == self.columns:
            self._row, self._column = self._row + 1, 0
            self._lines += [""] * (self._row + 1 - len(self._lines))
        line = self._lines[self._row]
        self._lines[self._row] = line[: self._column].ljust(self._column) + character + line[self._column + 1 :]
        self._column += 1

    def resize(self, columns: int) -> None:
        """Lines that are too long now go on below, and the cursor stays where it was in them."""
        assert self._column == 0
        rows: list[str] = []
        for row, line in enumerate(self._lines):
            if row == self._row:
                cursor = len(rows)
            rows += [line[at : at + columns] for at in range(0, max(len(line), 1), columns)]
        self._lines, self._row, self.columns = rows, cursor, columns

    @property
    def shown(self) -> list[str]:
        """The lines, without the empty ones at the end."""
        return "\n".join(self._lines).rstrip("\n").split("\n")
