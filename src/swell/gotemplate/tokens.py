"""The words of a template: what stands between the braces, and the text around."""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from swell.errors import InvalidTemplateError


class TokenKind(Enum):
    """What a token is."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    FIELD = auto()
    VARIABLE = auto()
    DOT = auto()
    WORD = auto()
    KEYWORD = auto()
    NUMBER = auto()
    CHARACTER = auto()
    STRING = auto()
    PUNCTUATION = auto()
    END = auto()


class Token(NamedTuple):
    """A piece of a template, and the line where it begins."""

    kind: TokenKind
    text: str
    line: int


_KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"))
_BLANKS = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<SPACE>[ \t\r\n]+)
    |(?P<STRING>"(?:\\[^\n]|[^"\\\n])*"|`[^`]*`)
    |(?P<CHARACTER>'(?:\\[^\n]|[^'\\\n])*')
    |(?P<VARIABLE>\$\w*)
    |(?P<DOT>\.(?![\w]))
    |(?P<FIELD>\.(?!\d)\w+)
    |(?P<NUMBER>
        [+-]?0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?
        |[+-]?0[oObB][0-7_]*
        |(?=[+\-.0-9])[+-]?[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?
    )
    |(?P<WORD>\w+)
    |(?P<PUNCTUATION>:=|[=|(),])
    """,
    re.VERBOSE,
)
_TERMINATED = re.compile(r"[ \t\r\n.,|:()]|}}|\Z")
"""What may follow a name."""
_UNFINISHED = {'"': "a string that has no end", "`": "a string that has no end", "'": "a character that has no end"}


def tokens_of(text: str) -> Iterator[Token]:
    """The tokens of a template, an END after them. Raises InvalidTemplateError."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._counted = 0
        """Up to where the lines are counted."""

    def run(self) -> Iterator[Token]:
        text, start = self._text, 0
        while (left := text.find("{{", start)) >= 0:
            trims = text[left + 2 : left + 3] == "-" and text[left + 3 : left + 4] in tuple(_BLANKS)
            before = text[start:left].rstrip(_BLANKS) if trims else text[start:left]
            if before:
                yield self._token(TokenKind.TEXT, start, before)
            self._position = left + (4 if trims else 2)
            if text.startswith("/*", self._position):
                self._skip_comment()
            else:
                yield self._token(TokenKind.LEFT, left, "{{")
                yield from self._action()
            start = self._position
        if start < len(text):
            yield self._token(TokenKind.TEXT, start, text[start:])
        yield self._token(TokenKind.END, len(text), "")

    def _token(self, kind: TokenKind, start: int, text: str) -> Token:
        self._line += self._text.count("\n", self._counted, start)
        self._counted = start
        return Token(kind, text, self._line)

    def _skip_comment(self) -> None:
        end = self._text.find("*/", self._position + 2)
        if end < 0:
            raise self._error("a comment has no end; close it with */}}")
        self._position = end + 2
        if not self._takes_right():
            raise self._error("}} has to follow the end of a comment at once")

    def _takes_right(self) -> bool:
        """Whether the action ends here; moves behind its end, and behind the blanks that it trims, if so."""
        text, position = self._text, self._position
        if text.startswith("}}", position):
            self._position += 2
            return True
        if text[position : position + 1] in tuple(_BLANKS) and text.startswith("-}}", position + 1):
            position += 4
            while text[position : position + 1] in tuple(_BLANKS):
                position += 1
            self._position = position
            return True
        return False

    def _action(self) -> Iterator[Token]:
        while True:
            start = self._position
            if self._takes_right():
                yield self._token(TokenKind.RIGHT, start, "}}")
                return
            found = _TOKEN.match(self._text, start)
            if found is None or found.lastgroup is None:
                raise self._unknown()
            end, kind = found.end(), TokenKind[found.lastgroup]
            if kind is TokenKind.SPACE and self._text.startswith("-}}", end):
                end -= 1  # that blank belongs to the end of the action
            self._position = end
            self._check_end(kind, self._text[start:end])
            word = self._text[start:end]
            yield self._token(TokenKind.KEYWORD if word in _KEYWORDS else kind, start, word)

    def _check_end(self, kind: TokenKind, word: str) -> None:
        """Raise InvalidTemplateError for a name or number that something follows at once."""
        following = self._text[self._position : self._position + 1]
        if kind is TokenKind.NUMBER and (following.isalnum() or following in tuple("+-_")):
            raise self._error(f"{word}{following} is not a number")
        is_name = kind in (TokenKind.FIELD, TokenKind.VARIABLE, TokenKind.WORD, TokenKind.DOT)
        if is_name and not _TERMINATED.match(self._text, self._position):
            raise self._error(f"{following!r} may not follow {word}; put a blank between them")

    def _unknown(self) -> InvalidTemplateError:
        character = self._text[self._position : self._position + 1]
        if not character:
            return self._error("an action has no end; close it with }}")
        return self._error(_UNFINISHED.get(character, f"{character!r} may not stand in an action"))

    def _error(self, reason: str) -> InvalidTemplateError:
        return InvalidTemplateError(reason, self._token(TokenKind.END, min(self._position, len(self._text)), "").line)
