"""Showing an answer while it is generated, and how long it took."""

import os
import sys
from collections.abc import Generator
from contextlib import closing

from swell.cli.errors import CommandError
from swell.cli.replies import Chunk
from swell.cli.wrap import MIN_COLUMNS, WordWrap
from swell.durations import format_duration

_GREY, _PLAIN = "\x1b[90m", "\x1b[0m"


class Answer:
    """One answer on its way to stdout. `text` and `thoughts` are what came so far, `last` the line that ended it."""

    def __init__(self, *, wordwrap: bool, hide_thinking: bool = False) -> None:
        self._wraps = wordwrap and sys.stdout.isatty()
        self._wrap = WordWrap()
        self._hide_thinking = hide_thinking
        has_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._grey, self._plain = (_GREY, _PLAIN) if has_colours else ("", "")
        self._is_thinking = False  # on the screen: a block of thoughts is open
        self._written = ""
        self.text = ""
        self.thoughts = ""
        self.last = Chunk()

    def show(self, chunks: Generator[Chunk, None, None]) -> None:
        """Write each piece as it comes and an empty line after the last; an interrupt cancels the request.

        An answer that breaks off still ends its line, so that what is printed next starts a new one.
        """
        try:
            with closing(chunks):
                for chunk in chunks:
                    self._add(chunk)
                    if chunk.done:
                        self.last = chunk
        except (CommandError, KeyboardInterrupt):
            self._write(self._line_end())
            raise
        else:
            self._write("\n\n")
        finally:
            if self._is_thinking:
                self._write(self._plain)

    def _add(self, chunk: Chunk) -> None:
        self.thoughts += chunk.thoughts
        self.text += chunk.text
        if chunk.thoughts and not self._hide_thinking:
            self._begin_thoughts()
            self._flow(chunk.thoughts)
        if chunk.text:
            self._end_thoughts()
            self._flow(chunk.text)

    def _begin_thoughts(self) -> None:
        if not self._is_thinking:
            self._is_thinking = True
            self._write(f"{self._line_end()}{self._grey}Thinking...\n")
            self._wrap = WordWrap()

    def _end_thoughts(self) -> None:
        if self._is_thinking:
            self._is_thinking = False
            self._write(f"{self._line_end()}...done thinking.{self._plain}\n\n")
            self._wrap = WordWrap()

    def _line_end(self) -> str:
        """What ends the line that was begun, if one was."""
        return "\n" if self._written and not self._written.endswith("\n") else ""

    def _flow(self, piece: str) -> None:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if self._wraps else 0
        self._write(self._wrap.feed(piece, columns) if columns >= MIN_COLUMNS else piece)

    def _write(self, text: str) -> None:
        self._written = text or self._written
        sys.stdout.write(text)
        sys.stdout.flush()


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


def _duration(duration_ns: int) -> str:
    return format_duration(duration_ns / 1e9) if duration_ns else ""


def _tokens(count: int) -> str:
    return f"{count} token(s)" if count else ""


def _rate(tokens: int, duration_ns: int) -> str:
    return f"{tokens / (duration_ns / 1e9):.2f} tokens/s" if tokens and duration_ns else ""
