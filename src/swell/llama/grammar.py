"""Grammars: output that can't be anything but what was asked for."""

import ctypes
import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from swell.errors import InvalidFormatError
from swell.llama.context import Context
from swell.llama.library import api
from swell.llama.model import Vocabulary

if TYPE_CHECKING:
    from llguidance import LLTokenizer

log = logging.getLogger(__name__)

_WHITESPACE = r"( |\n{1,2}[ \t]{0,20})?"  # bounded, as in llama.cpp: small models like to write nothing else
_SPECIAL = b"\xff"  # how llguidance knows tokens that stand for no text


class GrammarCompiler:
    """Makes grammars over one vocabulary.

    The first costs 0.4 s and 20 MB for 49,152 tokens, which is why nothing is prepared before somebody asks for one.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def compile(self, schema: str) -> "Grammar":
        """The grammar of documents that a JSON schema allows; raises InvalidFormatError for what is no schema.

        What the compiler doesn't know in a schema doesn't bind the output; the log says so.
        """
        from llguidance import LLMatcher

        try:
            source = LLMatcher.grammar_from_json_schema(
                schema, overrides={"whitespace_pattern": _WHITESPACE, "lenient": True}
            )
        except ValueError as error:
            raise InvalidFormatError(f"{schema[:200]} ({error})") from error
        matcher = LLMatcher(self._tokenizer, source, log_level=0)
        if matcher.is_error():
            raise InvalidFormatError(f"{schema[:200]} ({matcher.get_error()})")
        for warning in matcher.get_grammar_warnings():
            log.warning("a JSON schema binds less than it says: %s", warning)
        return Grammar(matcher, self._ends)

    def spell(self, text: bytes) -> list[int]:
        """Tokens that stand for exactly `text`, a control token where it is one's name.

        The tokenizer alone isn't enough: some put a blank before the first word.
        """
        vocabulary = self._vocabulary
        tokens = vocabulary.tokenize(text.decode("utf-8", "replace"), add_special=False, parse_special=True)
        if b"".join(map(vocabulary.written, tokens)) == text:
            return tokens
        spelled: list[int] = self._tokenizer.greedy_tokenize(text.decode("utf-8", "replace"))
        return spelled

    @cached_property
    def _ends(self) -> frozenset[int]:
        return frozenset(filter(self._vocabulary.is_end, range(self._vocabulary.size)))

    @cached_property
    def _tokenizer(self) -> "LLTokenizer":
        from llguidance import LLTokenizer

        vocabulary = self._vocabulary
        texts = [
            (_SPECIAL if vocabulary.is_control(token) else b"") + vocabulary.written(token)
            for token in range(vocabulary.size)
        ]
        tokenizer: Any = LLTokenizer
        made: LLTokenizer = tokenizer.from_llamacpp(
            tokens=texts,
            vocab_ptr=vocabulary.pointer,
            tokenize_fptr=ctypes.cast(api.llama_tokenize, ctypes.c_void_p).value,
            eos_token=sorted(self._ends) or None,
            slices=LLTokenizer.json_slices(),
        )
        return made


class Grammar:
    """Where a document stands in its grammar; a token is allowed if the document can go on with it."""

    def __init__(self, matcher: Any, ends: frozenset[int]) -> None:
        """`ends` are the tokens that end a generation."""
        self._matcher = matcher
        self._ends = ends

    def allows(self, token: int) -> bool:
        """Whether the document may go on with `token`, or end with it. Takes about 20 µs."""
        if self._matcher.is_stopped():
            return token in self._ends
        return bool(self._matcher.validate_tokens([token]))

    def accept(self, token: int) -> None:
        """Go on with `token`, which must be allowed."""
        if token not in self._ends:
            self._matcher.consume_token(token)

    def allowed(self, context: Context, batch_index: int) -> Any:
        """All allowed tokens with their logits, as a `llama_token_data_array`. Takes 0.3 to 1 ms."""
        import numpy as np  # 25 MB that a runner needs only where a model doesn't follow a grammar by itself

        size = context.model.vocabulary.size
        if self._matcher.is_stopped():
            tokens = np.fromiter(self._ends, np.int32)
        else:
            mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
            tokens = np.flatnonzero(np.unpackbits(mask, count=size, bitorder="little")).astype(np.int32)
        row = api.llama_get_logits_ith(context.pointer, batch_index)
        logits = np.ctypeslib.as_array(ctypes.cast(row, ctypes.POINTER(ctypes.c_float)), (size,))
        self._allowed = np.zeros(len(tokens), dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._allowed["id"], self._allowed["logit"] = tokens, logits[tokens]
        # kept in self: C is given only a pointer
        data = ctypes.cast(self._allowed.ctypes.data, ctypes.POINTER(api.llama_token_data))
        return api.llama_token_data_array(data=data, size=len(tokens), selected=-1, sorted=False)
