"""What a Modelfile says: its instructions, in order."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from swell.errors import InvalidParameterError
from swell.modelfile.parameters import DEPRECATED, Parameter, parse_parameter

INSTRUCTIONS = (
    *("from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message"),
    "requires",
)
UNFINISHED = "unexpected EOF"
"""Why a Modelfile is refused that ends, or has a line that ends, too early."""

_MAY_BE_EMPTY = ("license", "template", "system", "parameter", "message")
_ROLES = ("system", "user", "assistant")
_NUMBER = "(?:0|[1-9][0-9]*)"
_VERSION = re.compile(
    rf"v?{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}(?:-[0-9A-Za-z-][0-9A-Za-z.-]*)?(?:\+[0-9A-Za-z-][0-9A-Za-z.-]*)?)?)?"
)


@dataclass(frozen=True)
class Instruction:
    """One of `INSTRUCTIONS` with its text. `key` is a PARAMETER's name or a MESSAGE's role, `line` where it begins."""

    name: str
    text: str
    key: str = ""
    line: int = field(default=0, compare=False)

    @property
    def fault(self) -> str:
        """What is wrong with it, as far as that can be known without a model, in Ollama's words; mostly nothing."""
        if not self.text and self.name not in _MAY_BE_EMPTY:
            return UNFINISHED
        if self.name == "message" and self.key not in _ROLES:
            return 'message role must be one of "system", "user", or "assistant"'
        if self.name == "requires" and not _VERSION.fullmatch(self.text):
            return "requires must be a valid semver (e.g. 0.14.0)"
        if self.name == "parameter" and self.key not in DEPRECATED:
            try:
                parse_parameter(self.key, [self.text])
            except InvalidParameterError as error:
                return str(error)
        return ""


@dataclass(frozen=True)
class Modelfile:
    """The instructions of a Modelfile; of those that replace each other, the last one counts."""

    instructions: tuple[Instruction, ...]

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of all instructions of this name."""
        return tuple(one.text for one in self._named(name))

    def text(self, name: str) -> str:
        """The text of the last instruction of this name; empty if there is none."""
        return next(reversed(self.texts(name)), "")

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """All parameters but deprecated ones. What may repeat, `stop`, is a list."""
        values: dict[str, Parameter] = {}
        for one in self._named("parameter"):
            if one.key not in DEPRECATED:
                value, before = parse_parameter(one.key, [one.text]), values.get(one.key)
                values[one.key] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value
        return values

    @property
    def deprecated(self) -> tuple[str, ...]:
        """The names of parameters that are passed over, as often as they are there."""
        return tuple(one.key for one in self._named("parameter") if one.key in DEPRECATED)

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Role and text of each message."""
        return tuple((one.key, one.text) for one in self._named("message"))

    def _named(self, name: str) -> Iterator[Instruction]:
        return (one for one in self.instructions if one.name == name)
