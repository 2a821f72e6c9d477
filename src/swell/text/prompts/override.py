"""Templates that come with a request, in place of the model's own.

They are in Go's template language, like all templates for Ollama. There is no engine for it in Python, so a small
part is understood: `.System`, `.Prompt` and `.Response`, alone or within `if`, `else` and `end`. All else but comments
raises InvalidTemplateError, because a prompt that is half right is wrong. Jinja isn't understood either: a program that
any client may send could keep the server busy for ever.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from swell.errors import InvalidRequestError, InvalidTemplateError

_TEXT_MAX = 16 << 20  # characters
_NESTED_MAX = 100
_RESPONSE = ".Response"


def render_override(template: str, *, system: str, prompt: str) -> str:
    """The prompt of one turn: all before the response. Raises InvalidTemplateError."""
    if "{%" in template:
        raise InvalidTemplateError("Jinja is not understood here")
    writer = _Writer({".System": system, ".Prompt": prompt, _RESPONSE: ""})
    position, trims = 0, False
    for start, end in _actions(template):
        command, trims_before, trims_after = _read(template[start + 2 : end - 2])
        text = template[position:start]
        text = text.lstrip() if trims else text
        writer.write(text.rstrip() if trims_before else text)
        position, trims = end, trims_after
        if command == _RESPONSE and writer.is_shown:
            return "".join(writer.written)
        writer.act(command)
    writer.write(template[position:].lstrip() if trims else template[position:])
    writer.finish()
    return "".join(writer.written)


def _actions(template: str) -> Iterator[tuple[int, int]]:
    """Where each action begins and ends, with its braces."""
    start = template.find("{{")
    while start >= 0 and (end := template.find("}}", start + 2)) >= 0:
        yield start, end + 2
        start = template.find("{{", end + 2)


def _read(action: str) -> tuple[str, bool, bool]:
    """What stands between the braces of an action, and whether the blanks before and after it are trimmed."""
    trims_before = action[:1] == "-" and action[1:2].isspace()
    action = action[1:] if trims_before else action
    trims_after = action[-1:] == "-" and action[-2:-1].isspace()
    return (action[:-1] if trims_after else action).strip(), trims_before, trims_after


@dataclass
class _Branch:
    """An `if` without its `end` so far: whether the present part of it is shown, and whether one of its parts was."""

    is_shown: bool
    was_shown: bool
    has_else: bool = False


class _Writer:
    """Carries out actions, one after the other."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.written: list[str] = []
        self._values = values
        self._branches: list[_Branch] = []
        self._length = 0

    @property
    def is_shown(self) -> bool:
        return all(branch.is_shown for branch in self._branches)

    def write(self, text: str) -> None:
        if not self.is_shown:
            return
        self._length += len(text)
        if self._length > _TEXT_MAX:
            raise InvalidRequestError(f"the template writes more than {_TEXT_MAX} characters")
        self.written.append(text)

    def act(self, action: str) -> None:
        words = action.split()
        if len(words) == 1 and words[0] in self._values:
            self.write(self._values[words[0]])
        elif words[:1] == ["if"]:
            holds = self._holds(words[1:], action)
            if len(self._branches) == _NESTED_MAX:
                raise InvalidTemplateError(f"more than {_NESTED_MAX} ifs inside each other")
            self._branches.append(_Branch(holds, holds))
        elif words[:1] == ["else"] and self._branches and not self._branches[-1].has_else:
            self._otherwise(words[1:], action)
        elif words == ["end"] and self._branches:
            self._branches.pop()
        elif not action.startswith("/*"):
            raise InvalidTemplateError(f"{{{{ {action} }}}} is not understood here")

    def finish(self) -> None:
        if self._branches:
            raise InvalidTemplateError("an if without its end")

    def _otherwise(self, words: Sequence[str], action: str) -> None:
        branch = self._branches[-1]
        holds = self._holds(words[1:], action) if words[:1] == ["if"] else True
        if words and words[0] != "if":
            raise InvalidTemplateError(f"{{{{ {action} }}}} is not understood here")
        branch.has_else = not words
        branch.is_shown = holds and not branch.was_shown
        branch.was_shown = branch.was_shown or holds

    def _holds(self, words: Sequence[str], action: str) -> bool:
        is_negated = words[:1] == ["not"]
        names = words[1:] if is_negated else words
        if len(names) != 1 or names[0] not in self._values:
            raise InvalidTemplateError(f"{{{{ {action} }}}} is not understood here")
        return bool(self._values[names[0]]) != is_negated
