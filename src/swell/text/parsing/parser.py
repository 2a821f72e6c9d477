"""What a parser of model output is, and the parsers that combine others."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from swell.text.parsing.parts import Likelihood, Part, Text, Thought, ToolCall


class Parser(Protocol):
    """Takes a model's text in pieces, cut anywhere, and gives parts as soon as they are certain."""

    def feed(self, text: str) -> list[Part]:
        """The parts that become certain with `text`."""
        ...

    def finish(self) -> list[Part]:
        """The remaining parts, when no more text follows. May be called once."""
        ...


class Plain:
    """Takes all text for answer."""

    def feed(self, text: str) -> list[Part]:
        return [Text(text)] if text else []

    def finish(self) -> list[Part]:
        return []


class Chain:
    """Two parsers in a row: `second` reads what `first` takes for answer."""

    def __init__(self, first: Parser, second: Parser) -> None:
        self._first = first
        self._second = second

    def feed(self, text: str) -> list[Part]:
        return self._forward(self._first.feed(text))

    def finish(self) -> list[Part]:
        return [*self._forward(self._first.finish()), *self._second.finish()]

    def _forward(self, parts: Iterable[Part]) -> list[Part]:
        forwarded: list[Part] = []
        for part in parts:
            forwarded += self._second.feed(part.text) if isinstance(part, Text) else [part]
        return forwarded


class WithoutThoughts:
    """What `parser` gives, without the thoughts. The likelihoods of their tokens stay."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    def feed(self, text: str) -> list[Part]:
        return [part for part in self._parser.feed(text) if not isinstance(part, Thought)]

    def finish(self) -> list[Part]:
        return [part for part in self._parser.finish() if not isinstance(part, Thought)]


def with_likelihoods(parts: Sequence[Part], likelihoods: tuple[Likelihood, ...]) -> Sequence[Part]:
    """`parts` with the likelihoods of the tokens that led to them, in the first part that can hold them.

    If there is no such part, because text is held back, an empty text is added to hold them.
    """
    if not likelihoods:
        return parts
    for index, part in enumerate(parts):
        if not isinstance(part, ToolCall):
            return [*parts[:index], msgspec.structs.replace(part, likelihoods=likelihoods), *parts[index + 1 :]]
    return [Text("", likelihoods), *parts]


def merged(parts: Sequence[Part]) -> list[Part]:
    """`parts` with neighbours of the same kind joined; their likelihoods stay in order. Empty parts are left out."""
    result: list[Part] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, ToolCall) or last is None or type(last) is not type(part):
            result.append(part)
        elif isinstance(last, Text | Thought):
            result[-1] = type(last)(last.text + part.text, last.likelihoods + part.likelihoods)
    return [part for part in result if isinstance(part, ToolCall) or part.text or part.likelihoods]
