"""A chat template in the language that it is written in."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from swell.errors import InvalidTemplateError
from swell.gotemplate.inspection import names_used
from swell.gotemplate.parser import parse
from swell.text.parsing.dialect import Dialect, dialect_of
from swell.text.parsing.go_dialect import go_dialect_of


class TemplateLanguage(Enum):
    """Jinja is that of GGUF files, Go's that of Ollama's models."""

    JINJA = auto()
    GO = auto()


@dataclass(frozen=True)
class ChatTemplate:
    """The text of a template. What is asked of it is found without carrying it out."""

    language: TemplateLanguage
    text: str

    @property
    def dialect(self) -> Dialect:
        """How a model with this template writes thoughts and calls."""
        return go_dialect_of(self.text) if self.language is TemplateLanguage.GO else dialect_of(self.text)

    @property
    def fills_gaps(self) -> bool:
        """Whether it writes a prompt for what belongs between two texts."""
        return self.language is TemplateLanguage.GO and _has_suffix(self.text)


@lru_cache(maxsize=64)
def _has_suffix(text: str) -> bool:
    try:
        return "Suffix" in names_used(parse(text))
    except InvalidTemplateError:
        return False
