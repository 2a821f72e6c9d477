"""Lines that the user types, edited with readline's keys and kept for the next conversation."""

import readline
from contextlib import suppress
from pathlib import Path

from swell.cli.editor import edited
from swell.cli.names import clean
from swell.files import state_folder

HISTORY_LINES = 100  # as many as Ollama keeps
_CALL_EDITOR = "\a"
"""What Ctrl-G leaves in a line that it ends: readline can't call us, but it can type."""
_BINDINGS = (r'"\C-j": self-insert', r'"\C-g": "\C-v\C-g\C-m"')


class LineDropped(Exception):
    """Ctrl-C threw away what was typed of a line."""


class Keyboard:
    """A terminal's keyboard. While `keeps_history`, lines are added to the file `history`, if one is given."""

    def __init__(self, history: Path | None = None) -> None:
        self.keeps_history = True
        self._history = history
        readline.set_history_length(HISTORY_LINES)
        for binding in _BINDINGS:
            readline.parse_and_bind(binding)
        if history:
            with suppress(OSError):  # a conversation is possible without one
                history.parent.mkdir(parents=True, exist_ok=True)
                history.touch(0o600)
                readline.read_history_file(history)

    def read_line(self, prompt: str) -> str:
        """The next line. Raises EOFError, LineDropped, and KeyboardInterrupt for Ctrl-C where nothing was typed."""
        before = readline.get_current_history_length()
        line = _typed(prompt)
        while _CALL_EDITOR in line:
            if readline.get_current_history_length() > before:
                readline.remove_history_item(before)
            line = _typed(prompt, edited(line.replace(_CALL_EDITOR, "")))
        if self._history and self.keeps_history and readline.get_current_history_length() > before:
            with suppress(OSError):
                readline.append_history_file(1, self._history)
        return clean(line)


def _typed(prompt: str, beginning: str = "") -> str:
    """A line, of which the beginning is there already."""
    readline.set_startup_hook(lambda: readline.insert_text(beginning))
    try:
        return input(prompt)
    except KeyboardInterrupt as error:
        if readline.get_line_buffer():
            raise LineDropped from error
        raise
    finally:
        readline.set_startup_hook(None)


def history_file() -> Path | None:
    """Where the lines of earlier conversations are; None for a user without a home."""
    folder = state_folder()
    return folder / "history" if folder else None
