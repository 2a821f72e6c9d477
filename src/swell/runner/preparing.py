"""From a `Generate` message to a request of the engine. What may take long is done in threads, so that no other
request's next token waits for it.
"""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from swell.errors import SwellError, UnexpectedError
from swell.llama.grammar import Grammar, GrammarCompiler
from swell.llama.grammar_trigger import GrammarTrigger
from swell.llama.model import Vocabulary
from swell.llama.sampler import Sampler
from swell.protocol.messages import Generate
from swell.runner.slots import EngineRequest
from swell.runner.window import recall

AT_ONCE_MAX = 4096
"""Tokens; a sampler has gone through fewer in a millisecond or two, less than a change of threads may take."""
_THREADS = 2


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What became of a message: a request of the engine, or the error that it ends with."""

    request: Generate
    outcome: EngineRequest | SwellError


class Preparer:
    """Prepares requests. All methods are called from one thread, the engine's."""

    def __init__(self, vocabulary: Vocabulary, batch_tokens: int, hand_back: Callable[[Prepared], None]) -> None:
        """`hand_back` is called from any thread. A batch of the engine holds up to `batch_tokens`."""
        self._vocabulary = vocabulary
        self._batch_tokens = batch_tokens
        self._hand_back = hand_back
        self._grammars = GrammarCompiler(vocabulary)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="preparer")
        self._wanted: set[int] = set()

    def submit(self, request: Generate) -> None:
        """Prepare `request`: before this returns if that is quick, else in a thread."""
        self._wanted.add(request.id)
        grammar = None if request.schema is None else self._grammars.cached(request.schema)
        tags = () if request.preamble is None else request.preamble.tags
        if (
            (request.schema is None or grammar is not None)
            and all(map(self._grammars.spells_at_once, tags))
            and len(request.prompt) + len(request.emitted) <= AT_ONCE_MAX
        ):
            self._prepare(request, grammar)
        else:
            self._threads.submit(self._prepare, request, grammar)

    def cancel(self, request_id: int) -> None:
        """Drop the request of that number, if it is still being prepared."""
        self._wanted.discard(request_id)

    def finish(self, prepared: Prepared) -> EngineRequest | SwellError | None:
        """What became of a request that was handed back; None if it was cancelled meanwhile."""
        if prepared.request.id in self._wanted:
            self._wanted.remove(prepared.request.id)
            return prepared.outcome
        if isinstance(prepared.outcome, EngineRequest):
            prepared.outcome.sampler.close()
        return None

    def close(self) -> None:
        """Drop all requests and wait for the threads to end."""
        self._wanted.clear()
        self._threads.shutdown()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being prepared that was not cancelled."""
        return bool(self._wanted)

    def _prepare(self, request: Generate, grammar: Grammar | None) -> None:
        if request.id not in self._wanted:
            return
        try:
            outcome: EngineRequest | SwellError = self._engine_request(request, grammar)
        except SwellError as error:
            outcome = error
        except Exception as error:
            outcome = UnexpectedError(f"unable to begin: {error!r}")
        self._hand_back(Prepared(request, outcome))

    def _engine_request(self, request: Generate, grammar: Grammar | None) -> EngineRequest:
        if request.schema is not None and grammar is None:
            grammar = self._grammars.compile(request.schema)
        trigger = None
        if request.preamble is not None:
            trigger = GrammarTrigger(self._vocabulary, request.preamble, self._grammars.spell)
            for tag in request.preamble.tags:  # what it takes to spell is made here, not between two tokens
                self._grammars.spell(tag)
        sampler = Sampler(self._vocabulary, request.sampling, grammar, trigger)
        sampler.observe(request.prompt, request.emitted)
        prepared = EngineRequest(
            id=request.id,
            known=list(request.prompt),
            read_tokens=len(request.prompt),
            window_tokens=request.window_tokens,
            limit_tokens=request.limit_tokens,
            batch_tokens=request.batch_tokens or self._batch_tokens,
            threads=request.threads,
            sampler=sampler,
            keep_tokens=request.keep_tokens,
            top_logprobs=request.top_logprobs,
            visible=self._vocabulary.controls(request.visible),
        )
        recall(prepared, request.emitted)
        return prepared
