"""Showing an answer while it is generated, and how long it took."""

import shutil
import sys
from collections.abc import Generator
from contextlib import closing

from swell.cli.errors import CommandError
from swell.cli.replies import Chunk
from swell.cli.wrap import MIN_COLUMNS, WordWrap
from swell.durations import format_duration


class Answer:
    """One answer on its way to stdout. `text` is what was shown so far, `last` the line that ended it."""

    def __init__(self, *, wordwrap: bool) -> None:
        columns = shutil.get_terminal_size().columns
        self._wrap = WordWrap(columns) if wordwrap and columns >= MIN_COLUMNS and sys.stdout.isatty() else None
        self.text = ""
        self.last = Chunk()

    def show(self, chunks: Generator[Chunk, None, None]) -> None:
        """Write each piece as it comes and an empty line after the last; an interrupt cancels the request.

        An answer that breaks off still ends its line, so that what is printed next starts a new one.
        """
        try:
            with closing(chunks):
                for chunk in chunks:
                    self._add(chunk.text)
                    if chunk.done:
                        self.last = chunk
        except (CommandError, KeyboardInterrupt):
            if self.text:
                _write("\n")
            raise
        _write("\n\n")

    def _add(self, piece: str) -> None:
        if piece:
            self.text += piece
            _write(self._wrap.feed(piece) if self._wrap else piece)


def timings(last: Chunk) -> str:
    """What `--verbose` says after an answer; numbers that are zero are left out."""
    rows = [
        ("total duration", _duration(last.total_duration)),
        ("load duration", _duration(last.load_duration)),
        ("prompt eval count", _tokens(last.prompt_eval_count)),
        ("prompt eval duration", _duration(last.prompt_eval_duration)),
        ("prompt eval rate", _rate(last.prompt_eval_count, last.prompt_eval_duration)),
        ("eval count", _tokens(last.eval_count)),
        ("eval duration", _duration(last.eval_duration)),
        ("eval rate", _rate(last.eval_count, last.eval_duration)),
    ]
    return "".join(f"{f'{name}:':<22}{value}\n" for name, value in rows if value)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _duration(duration_ns: int) -> str:
    return format_duration(duration_ns / 1e9) if duration_ns else ""


def _tokens(count: int) -> str:
    return f"{count} token(s)" if count else ""


def _rate(tokens: int, duration_ns: int) -> str:
    return f"{tokens / (duration_ns / 1e9):.2f} tokens/s" if tokens and duration_ns else ""
