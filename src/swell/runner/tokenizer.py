"""Turns texts into tokens while the engine computes. A long text holds up neither the event loop nor other texts."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from swell.errors import SwellError, UnexpectedError, to_data
from swell.llama.model import Vocabulary
from swell.protocol.messages import Failed, Reply, Tokenize, Tokenized

AT_ONCE_MAX = 4096
"""Characters; a shorter text takes a millisecond, less than a change of threads may take on a busy machine."""
SPECIALS_MAX = 2000
"""Special tokens per call of llama.cpp, which takes a time in proportion to their square: 74 s for 250,000."""
PIECE_MIN = 16384
"""Characters; a shorter text is one piece, whatever it consists of."""
WHOLE_MIN = 1 << 20
"""Characters; shorter texts are always tokenised as a whole."""
_THREADS = 2
_PATTERN_DEPTH = 200


class Tokenizer:
    """Tokenises short texts at once, and long ones in threads, piece by piece in turn."""

    def __init__(self, vocabulary: Vocabulary, deliver: Callable[[Reply], None]) -> None:
        """`deliver` is called from any thread."""
        self._vocabulary = vocabulary
        self._deliver = deliver
        self._lock = threading.Lock()
        self._jobs: dict[int, _Job] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tokenizer")
        self._specials: dict[bool, re.Pattern[str]] = {}
        self._longest = 0

    def submit(self, request: Tokenize) -> None:
        """Deliver Tokenized or Failed: before this returns for a short text, later for a long one."""
        job = _Job(request, self)
        if len(request.text) <= AT_ONCE_MAX:
            while not job.step():
                pass
            self._deliver(job.answer())
            return
        with self._lock:
            self._jobs[request.id] = job
        self._threads.submit(self._work, job)

    def cancel(self, request_id: int) -> bool:
        """Drop a request after its present piece; False if no request of that number is there."""
        with self._lock:
            return self._jobs.pop(request_id, None) is not None

    def close(self) -> None:
        """Drop all requests and wait for the threads to end."""
        with self._lock:
            self._jobs.clear()
        self._threads.shutdown()

    def _work(self, job: "_Job") -> None:
        """Tokenise one piece of a text; its next one is done after a piece of each other text."""
        with self._lock:
            if job.id not in self._jobs:
                return
        if not job.step():
            self._threads.submit(self._work, job)
        elif self.cancel(job.id):
            self._deliver(job.answer())

    # --- what a job knows of the vocabulary ----------------------------------------------------------------------

    def tokenize(self, piece: str, *, parse_special: bool) -> list[int]:
        """The tokens of `piece`. Raises TokenizeError."""
        return self._vocabulary.tokenize(piece, add_special=False, parse_special=parse_special)

    def ends(self) -> tuple[list[int], list[int]]:
        """The tokens that the vocabulary wants before and after a text."""
        both = self._vocabulary.tokenize("", add_special=True, parse_special=False)
        return both[: self._vocabulary.add_bos], both[self._vocabulary.add_bos :]

    def parts(self, request: Tokenize) -> Iterator[str]:
        """Pieces of the text that together have the same tokens as all of it, or as its two ends if they are enough."""
        text = request.text
        if len(text) > WHOLE_MIN and request.limit_tokens is not None:
            most = max(WHOLE_MIN // 2, request.limit_tokens * self._longest_bytes())
            if len(text) > 2 * most:
                yield from self._pieces(text[:most], request.parse_special)
                yield from self._pieces(text[-most:], request.parse_special)
                return
        yield from self._pieces(text, request.parse_special)

    def _pieces(self, text: str, parse_special: bool) -> Iterator[str]:
        if len(text) <= PIECE_MIN:
            yield text
            return
        if parse_special not in self._specials:
            self._specials[parse_special] = pattern(self._vocabulary.specials(parse_special=parse_special))
        start = count = 0
        for match in self._specials[parse_special].finditer(text):
            if count >= SPECIALS_MAX:
                yield text[start : match.start()]
                start, count = match.start(), 0
            count += 1
        yield text[start:]

    def _longest_bytes(self) -> int:
        if not self._longest:
            self._longest = max(len(self._vocabulary.written(token)) for token in range(self._vocabulary.size))
        return self._longest


class _Job:
    """A text and its tokens so far."""

    def __init__(self, request: Tokenize, tokenizer: Tokenizer) -> None:
        self.id = request.id
        self._request = request
        self._tokenizer = tokenizer
        self._pieces = tokenizer.parts(request)
        self._tokens: list[int] = []
        self._error: SwellError | None = None

    def step(self) -> bool:
        """Tokenise the next piece; True when there is none left."""
        try:
            piece = next(self._pieces, None)
            if piece is not None:
                self._tokens += self._tokenizer.tokenize(piece, parse_special=self._request.parse_special)
                return False
            if self._request.add_special:
                before, after = self._tokenizer.ends()
                self._tokens = [*before, *self._tokens, *after]
        except SwellError as error:
            self._error = error
        except Exception as error:
            self._error = UnexpectedError(f"unable to tokenize: {error!r}")
        return True

    def answer(self) -> Reply:
        """Tokenized or Failed; after the last step only."""
        if self._error is not None:
            return Failed(self.id, *to_data(self._error))
        return Tokenized(self.id, self._tokens)


def pattern(texts: Iterable[str]) -> re.Pattern[str]:
    """Matches the longest of `texts` at each place, in a time that doesn't depend on how many there are.

    Those of more than 200 characters are left out: the pattern is made by recursion.
    """
    root: dict[str, dict] = {}  # type: ignore[type-arg]
    for text in texts:
        if len(text) > _PATTERN_DEPTH:
            continue
        node = root
        for letter in text:
            node = node.setdefault(letter, {})
        node[""] = {}
    return re.compile(_alternatives(root) if root else r"(?!)")


def _alternatives(node: dict[str, dict]) -> str:  # type: ignore[type-arg]
    ends_here = "" in node
    branches = [re.escape(letter) + _alternatives(rest) for letter, rest in node.items() if letter]
    if not branches:
        return ""
    body = branches[0] if len(branches) == 1 and not ends_here else f"(?:{'|'.join(branches)})"
    return f"{body}?" if ends_here else body
