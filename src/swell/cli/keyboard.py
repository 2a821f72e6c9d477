"""Lines that the user types, edited with readline's keys and kept for the next conversation."""

import os
import readline
from contextlib import suppress
from pathlib import Path

from swell.cli.names import clean

HISTORY_LINES = 100  # as many as Ollama keeps


class LineDropped(Exception):
    """Ctrl-C threw away what was typed of a line."""


class Keyboard:
    """A terminal's keyboard. While `keeps_history`, lines are added to the file `history`, if one is given."""

    def __init__(self, history: Path | None = None) -> None:
        self.keeps_history = True
        self._history = history
        readline.set_history_length(HISTORY_LINES)
        if history:
            with suppress(OSError):  # a conversation is possible without one
                history.parent.mkdir(parents=True, exist_ok=True)
                history.touch(0o600)
                readline.read_history_file(history)

    def read_line(self, prompt: str) -> str:
        """The next line. Raises EOFError, LineDropped, and KeyboardInterrupt for Ctrl-C where nothing was typed."""
        before = readline.get_current_history_length()
        try:
            line = input(prompt)
        except KeyboardInterrupt as error:
            if readline.get_line_buffer():
                raise LineDropped from error
            raise
        if self._history and self.keeps_history and readline.get_current_history_length() > before:
            with suppress(OSError):
                readline.append_history_file(1, self._history)
        return clean(line)


def history_file() -> Path | None:
    """Where the lines of earlier conversations are; None for a user without a home."""
    state = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):
        return Path(state or Path.home() / ".local" / "state") / "swell" / "history"
    return None
