"""What all parsers of model output have in common."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from swell.text.parsing.parts import Likelihood, Part, Text, Thought, ToolCall


class Parser(Protocol):
    """Feeds on a model's text as it comes, cut anywhere, and gives parts as soon as they are certain."""

    def feed(self, text: str) -> list[Part]:
        """The parts that are certain with this text."""
        ...

    def finish(self) -> list[Part]:
        """The rest, when nothing follows. Not to be called twice."""
        ...


class Plain:
    """Everything is answer."""

    def feed(self, text: str) -> list[Part]:
        return [Text(text)] if text else []

    def finish(self) -> list[Part]:
        return []


class Chain:
    """Whatever `first` takes for answer goes on to `second`."""

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
    """`parts` with the likelihoods of the tokens that led to them: in the first one that can hold them.

    While text is held back there may be none; then an empty text holds them.
    """
    if not likelihoods:
        return parts
    for index, part in enumerate(parts):
        if not isinstance(part, ToolCall):
            return [*parts[:index], msgspec.structs.replace(part, likelihoods=likelihoods), *parts[index + 1 :]]
    return [Text("", likelihoods), *parts]


def merged(parts: Sequence[Part]) -> list[Part]:
    """`parts` with neighbours of the same kind made one. Their likelihoods stay in order."""
    result: list[Part] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, ToolCall) or last is None or type(last) is not type(part):
            result.append(part)
        elif isinstance(last, Text | Thought):
            result[-1] = type(last)(last.text + part.text, last.likelihoods + part.likelihoods)
    return [part for part in result if isinstance(part, ToolCall) or part.text or part.likelihoods]
