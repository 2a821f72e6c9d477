"""Grammars: output that can't be anything but what was asked for."""

import ctypes
import dataclasses
import logging
import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from swell.llama.context import Context
from swell.llama.library import api
from swell.llama.model import Vocabulary
from swell.schemas import grammars

if TYPE_CHECKING:
    from llguidance import LLTokenizer

log = logging.getLogger(__name__)

COMPILED_MAX = 8
"""Schemas that are kept; a common one takes a megabyte, and none more than 25."""
USES_MAX = 32
"""Documents that one grammar is made for: they share the states of its lexer, which are limited, and only grow."""

_SPECIAL = b"\xff"  # how llguidance knows tokens that stand for no text


@dataclasses.dataclass
class _Compiled:
    matcher: Any
    uses: int = 0


class GrammarCompiler:
    """Makes grammars over one vocabulary.

    The first costs 0.2 s, for a half of which no other thread runs, and 25 MB for 49,152 tokens; which is why nothing
    is prepared before somebody asks for one.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lock, self._making = threading.Lock(), threading.Lock()
        self._made: LLTokenizer | None = None
        self._compiled = OrderedDict[str, _Compiled]()
        """The schemas used last."""

    def cached(self, schema: str) -> "Grammar | None":
        """What `compile` gave for a schema that was used lately."""
        with self._lock:
            return self._document(schema) if schema in self._compiled else None

    def compile(self, schema: str) -> "Grammar":
        """The grammar of documents that a JSON schema allows; raises InvalidRequestError for what is no schema.

        What the compiler doesn't know in a schema doesn't bind the output; the log says so. Callable from any thread;
        others go on meanwhile. There is no limit of time: `grammars.check` has to be passed before, where there is one.
        """
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokenizer(), grammars.grammar_of(schema), log_level=0, limits=grammars.limits())
        if matcher.is_error():
            raise grammars.unfollowable(matcher.get_error())
        for warning in matcher.get_grammar_warnings():
            log.warning("a JSON schema binds less than it says: %s", warning)
        with self._lock:
            self._compiled[schema] = _Compiled(matcher)
            if len(self._compiled) > COMPILED_MAX:
                self._compiled.popitem(last=False)
            return self._document(schema)

    def _document(self, schema: str) -> "Grammar":
        """A grammar at its beginning, for a schema that is compiled. The caller has the lock."""
        compiled = self._compiled[schema]
        self._compiled.move_to_end(schema)
        compiled.uses += 1
        if compiled.uses == USES_MAX:
            del self._compiled[schema]
        return Grammar(compiled.matcher.deep_copy(), self._ends)

    def spell(self, text: bytes) -> list[int]:
        """Tokens that stand for exactly `text`, a control token where it is one's name.

        The tokenizer alone isn't enough: some put a blank before the first word.
        """
        tokens = self._spelled(text)
        return self._tokenizer().greedy_tokenize(text.decode("utf-8", "replace")) if tokens is None else tokens

    def spells_at_once(self, text: bytes) -> bool:
        """Whether `spell` takes no time: it needs no tokenizer of llguidance's, or there is one."""
        return self._made is not None or self._spelled(text) is not None

    def _spelled(self, text: bytes) -> list[int] | None:
        vocabulary = self._vocabulary
        tokens = vocabulary.tokenize(text.decode("utf-8", "replace"), add_special=False, parse_special=True)
        return tokens if b"".join(map(vocabulary.written, tokens)) == text else None

    @cached_property
    def _ends(self) -> frozenset[int]:
        return frozenset(filter(self._vocabulary.is_end, range(self._vocabulary.size)))

    def _tokenizer(self) -> "LLTokenizer":
        """The vocabulary as llguidance wants it."""
        with self._making:
            if self._made is None:
                self._made = self._make_tokenizer()
            return self._made

    def _make_tokenizer(self) -> "LLTokenizer":
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
        """Whether the document may go on with `token`, or end with it. Takes about 20 µs.

        Raises InvalidRequestError, as the others do, if the schema takes too much to follow.
        """
        if self._is_stopped():
            return token in self._ends
        return bool(self._matcher.validate_tokens([token]))

    def accept(self, token: int) -> None:
        """Go on with `token`, which must be allowed."""
        if token not in self._ends and not self._matcher.consume_token(token):
            self._is_stopped()

    def _is_stopped(self) -> bool:
        """Whether nothing but an end may follow."""
        is_stopped = bool(self._matcher.is_stopped())
        if is_stopped and self._matcher.is_error():
            raise grammars.unfollowable(self._matcher.get_error())
        return is_stopped

    def allowed(self, context: Context, batch_index: int) -> Any:
        """All allowed tokens with their logits, as a `llama_token_data_array`. Takes 0.3 to 1 ms."""
        import numpy as np  # 25 MB that a runner needs only where a model doesn't follow a grammar by itself

        size = context.model.vocabulary.size
        bitmask = self._matcher.compute_bitmask()
        if self._is_stopped():
            tokens = np.fromiter(self._ends, np.int32)
        else:
            mask = np.frombuffer(bitmask, np.uint8)
            tokens = np.flatnonzero(np.unpackbits(mask, count=size, bitorder="little")).astype(np.int32)
        row = api.llama_get_logits_ith(context.pointer, batch_index)
        logits = np.ctypeslib.as_array(ctypes.cast(row, ctypes.POINTER(ctypes.c_float)), (size,))
        self._allowed = np.zeros(len(tokens), dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._allowed["id"], self._allowed["logit"] = tokens, logits[tokens]
        # kept in self: C is given only a pointer
        data = ctypes.cast(self._allowed.ctypes.data, ctypes.POINTER(api.llama_token_data))
        return api.llama_token_data_array(data=data, size=len(tokens), selected=-1, sorted=False)
