"""Go's printf: the language of its format strings."""

from swell.gotemplate.printing import PrintStyle, Verb, formatted, plain
from swell.gotemplate.values import Value, is_nil, type_name

_NUMBER_MAX = 1_000_000
_FLAGS = "+-# 0"


def sprintf(form: str, values: list[Value]) -> str:
    """`values` written as `form` says. What is wrong with it is written, too, as Go does."""
    return _FormatWriter(form, values).run()


class _FormatWriter:
    def __init__(self, form: str, values: list[Value]) -> None:
        self._form = form
        self._values = values
        self._position = 0
        self._next = 0
        """The value to be written next."""
        self._is_reordered = False
        self._is_index_good = True
        self._follows_index = False

    def run(self) -> str:
        pieces: list[str] = []
        while self._position < len(self._form):
            start = self._form.find("%", self._position)
            if start < 0:
                pieces.append(self._form[self._position :])
                break
            pieces.append(self._form[self._position : start])
            self._position = start + 1
            pieces.append(self._verb())
        if not self._is_reordered and self._next < len(self._values):
            extra = [self._with_type(value) for value in self._values[self._next :]]
            pieces.append(f"%!(EXTRA {', '.join(extra)})")
        return "".join(pieces)

    @staticmethod
    def _with_type(value: Value) -> str:
        return "<nil>" if is_nil(value) else f"{type_name(value)}={plain(value)}"

    def _peek(self) -> str:
        return self._form[self._position : self._position + 1]

    def _verb(self) -> str:
        self._is_index_good = True
        flags = ""
        while self._peek() and self._peek() in _FLAGS:
            flags += self._peek()
            self._position += 1
        self._index()
        problems = ""
        if self._peek() == "*":
            self._position += 1
            width = self._number_from_values()
            problems += "%!(BADWIDTH)" if width is None else ""
            if width is not None and width < 0:
                width, flags = -width, flags.replace("0", "") + "-"
            self._follows_index = False
        else:
            width = self._number()
            if self._follows_index and width is not None:
                self._is_index_good = False
        precision = None
        if self._peek() == "." and self._position + 1 < len(self._form):
            self._position += 1
            precision, problem = self._precision()
            problems += problem
        if not self._follows_index:
            self._index()
        if not self._peek():
            return f"{problems}%!(NOVERB)"
        letter = self._peek()
        self._position += 1
        return problems + self._written(letter, flags, width, precision)

    def _precision(self) -> tuple[int | None, str]:
        if self._follows_index:
            self._is_index_good = False
        self._index()
        if self._peek() != "*":
            return self._number() or 0, ""
        self._position += 1
        self._follows_index = False
        precision = self._number_from_values()
        if precision is None or precision < 0:
            return None, "%!(BADPREC)"
        return precision, ""

    def _written(self, letter: str, flags: str, width: int | None, precision: int | None) -> str:
        if letter == "%":
            return "%"
        if not self._is_index_good:
            return f"%!{letter}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{letter}(MISSING)"
        value = self._values[self._next]
        self._next += 1
        style = PrintStyle.PLAIN
        if letter == "v":
            style = PrintStyle.SOURCE if "#" in flags else PrintStyle.NAMED if "+" in flags else PrintStyle.PLAIN
            flags = flags.replace("+", "").replace("#", "")
        return formatted(value, Verb(letter, flags, width, precision, style))

    def _number(self) -> int | None:
        """The number that comes next. A crazy one ends the form."""
        start, number = self._position, 0
        while self._peek().isascii() and self._peek().isdigit():
            if number > _NUMBER_MAX:
                self._position = len(self._form)
                return None
            number = 10 * number + int(self._peek())
            self._position += 1
        return None if self._position == start else number

    def _number_from_values(self) -> int | None:
        if self._next >= len(self._values):
            return None
        value = self._values[self._next]
        self._next += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _NUMBER_MAX:
            return None
        return value

    def _index(self) -> None:
        """Take an index like `[2]`, which says what value comes next."""
        self._follows_index = False
        if self._peek() != "[":
            return
        self._is_reordered = True
        end = self._form.find("]", self._position)
        if end < 0 or len(self._form) - self._position < 3:
            self._is_index_good = False
            self._position += 1
            return
        digits = self._form[self._position + 1 : end]
        self._position = end + 1
        is_number = digits.isascii() and digits.isdigit()
        self._follows_index = is_number
        if is_number and 0 < int(digits[:8]) <= len(self._values):
            self._next = int(digits) - 1
        else:
            self._is_index_good = False
