"""What llama.cpp can't bear in a vocabulary. Pure."""

import re
from collections.abc import Iterable

_ESCAPED = re.compile(rb"\\(?:x(..)|(.))", re.DOTALL)
_LETTERS = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}


def vocabulary_problem(model: object, tokens: Iterable[bytes]) -> str | None:
    """Why llama.cpp would crash or hang with these `tokens` for a tokenizer called `model`; None if it wouldn't."""
    seen = set[bytes]()
    for number, token in enumerate(tokens):
        text = token or b"[EMPTY_%d]" % number  # as llama.cpp calls it
        if text in seen:
            return f"tokenizer.ggml.tokens holds {text.decode('utf-8', 'replace')!r} twice"
        seen.add(text)
    return _dead_end(seen) if model == "rwkv" else None


def _dead_end(tokens: Iterable[bytes]) -> str | None:
    """A byte with which tokens begin must be one, too: else llama.cpp, having begun with it, never gets on."""
    texts = {_ESCAPED.sub(_unescaped, token) for token in tokens}
    dead = {text[:1] for text in texts} - texts
    return (
        f"tokenizer.ggml.tokens holds tokens that begin with {min(dead - {b''})!r}, but not that byte"
        if dead - {b""}
        else None
    )


def _unescaped(found: re.Match[bytes]) -> bytes:
    digits, letter = found.groups()
    if digits is None:
        return _LETTERS.get(letter, letter)
    try:
        return bytes([int(digits, 16)])
    except ValueError:
        return digits
