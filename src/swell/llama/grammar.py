"""Grammars: output that can't be anything but what was asked for."""

import ctypes
import importlib
import math
from typing import Any

from swell.errors import InvalidFormatError
from swell.llama import library, logs
from swell.llama.context import Context
from swell.llama.handle import Handle
from swell.llama.library import api
from swell.llama.model import Vocabulary


def grammar_of(schema: str) -> str:
    """The grammar, in llama.cpp's notation, of documents that a JSON schema allows.

    Made by llama-cpp-python, which follows llama.cpp's own converter. Raises InvalidFormatError for what is no schema
    or uses parts of schemas that it doesn't know.
    """
    library.start()
    converter: Any = importlib.import_module("llama_cpp.llama_grammar")
    try:
        grammar: str = converter.json_schema_to_gbnf(schema)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise InvalidFormatError(f"{schema[:200]} ({type(error).__name__}: {error})") from error
    return grammar


class Grammar(Handle):
    """Where a document stands in its grammar; a token is allowed if the document can go on with it."""

    def __init__(self, vocabulary: Vocabulary, schema: str) -> None:
        """Raises InvalidFormatError."""
        source = grammar_of(schema)
        pointer = api.llama_sampler_init_grammar(vocabulary.pointer, source.encode(), b"root")
        if not pointer:
            raise InvalidFormatError(f"{schema[:200]} ({logs.take_errors()})")
        super().__init__(pointer, api.llama_sampler_free)
        self._candidate = (api.llama_token_data * 1)()
        self._candidates = api.llama_token_data_array(data=self._candidate, size=1, selected=-1, sorted=False)

    def allows(self, token: int) -> bool:
        """Whether the document may go on with `token`, or end with it."""
        self._candidate[0].id = token
        self._candidate[0].logit = 0.0
        self._candidates.size = 1
        api.llama_sampler_apply(self.pointer, ctypes.byref(self._candidates))
        logit: float = self._candidate[0].logit
        return logit != -math.inf

    def accept(self, token: int) -> None:
        """Go on with `token`, which must be allowed: llama.cpp ends the process otherwise."""
        api.llama_sampler_accept(self.pointer, token)

    def allowed(self, context: Context, batch_index: int, count: int) -> Any:
        """Those of the likeliest `count` tokens that are allowed, as a `llama_token_data_array`; maybe none.

        Costs 0.3 ms for 128 tokens, 7 ms and more for all 49,152 of a vocabulary.
        """
        import numpy as np  # 25 MB that a runner needs only where a model doesn't follow a grammar by itself

        size = context.model.vocabulary.size
        row = api.llama_get_logits_ith(context.pointer, batch_index)
        logits = np.ctypeslib.as_array(ctypes.cast(row, ctypes.POINTER(ctypes.c_float)), (size,))
        likeliest = np.arange(size) if count >= size else np.argpartition(logits, -count)[-count:]
        tokens = np.zeros(len(likeliest), dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        tokens["id"], tokens["logit"] = likeliest, logits[likeliest]
        api.llama_sampler_apply(self.pointer, ctypes.byref(_array(tokens)))
        self._allowed = tokens[tokens["logit"] != -np.inf]  # kept: C is given only a pointer
        return _array(self._allowed)


def _array(tokens: Any) -> Any:
    """A numpy array of candidates as C sees it; valid for as long as the array."""
    data = ctypes.cast(tokens.ctypes.data, ctypes.POINTER(api.llama_token_data))
    return api.llama_token_data_array(data=data, size=len(tokens), selected=-1, sorted=False)
