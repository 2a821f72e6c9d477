"""One generation as the API sees it: text pieces, then how it ended."""

import dataclasses
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence

from swell.errors import InvalidOptionError
from swell.protocol import messages
from swell.protocol.messages import Emitted, Finished, FinishReason, Loaded, Prefilled
from swell.sampling import Mirostat, Preamble, Sampling
from swell.server.options import Options
from swell.server.parsing.parts import Alternative, Likelihood
from swell.server.runner import Event, Runner
from swell.server.text import TextStream
from swell.settings import Settings

log = logging.getLogger(__name__)

MIN_WINDOW_TOKENS = 4
"""A smaller `num_ctx` is raised to this, as Ollama does."""
LIMIT_WINDOWS = 10
"""Without a smaller `num_predict`, a generation ends after this many windows, as in Ollama."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Text to show: whole characters, without stop strings. With how likely its tokens were, if that was asked for."""

    text: str
    likelihoods: tuple[Likelihood, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What a request wants beside its options.

    `keep_tokens`: when the window is full, forget half of what follows the first so many tokens; None: end there.
    `schema`: a JSON schema that the output must follow, after `preamble`. `top_logprobs`: None for no likelihoods.
    `visible`: control tokens to show.
    """

    keep_tokens: int | None = None
    schema: str | None = None
    preamble: Preamble | None = None
    top_logprobs: int | None = None
    visible: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Done:
    """How a generation ended. `prompt_tokens` counts cached ones too; `tokens` are the generated ids."""

    reason: FinishReason
    prompt_tokens: int
    prompt_ns: int
    generated_tokens: int
    generate_ns: int
    tokens: tuple[int, ...]


def window_tokens(options: Options, facts: Loaded, settings: Settings) -> int:
    """The ceiling of a request: its `num_ctx`, else the setting, else all the model was trained for; never more."""
    wanted = options.num_ctx if options.num_ctx is not None else settings.context_length or facts.context_max
    if wanted > facts.context_max:
        log.warning("a window of %d tokens was asked for; the model has %d", wanted, facts.context_max)
    return min(max(wanted, MIN_WINDOW_TOKENS), facts.context_max)


async def generate(
    runner: Runner, prompt: list[int], options: Options, wish: Wish, *, window_tokens: int
) -> AsyncGenerator[Piece | Done, None]:
    """Carry `prompt` on within a window; yields pieces as they come, at last Done. Closing it cancels the work.

    The prompt must be shorter than the window. Raises RunnerError, DecodeError, KvGrowError or InvalidFormatError.
    """
    text = TextStream(options.stop)
    record = _Record()
    events = runner.generate(
        prompt,
        window_tokens=window_tokens,
        limit_tokens=_limit(options.num_predict, window_tokens),
        sampling=_sampling(options, window_tokens),
        keep_tokens=wish.keep_tokens,
        schema=wish.schema,
        preamble=wish.preamble,
        top_logprobs=wish.top_logprobs,
        visible=wish.visible,
    )
    try:
        async for batch in events:
            piece = text.feed(record.add(batch))
            if piece or record.likelihoods:
                yield Piece(piece, record.take_likelihoods())
            if text.stopped:
                record.finish(FinishReason.STOP)
                break
    finally:
        await events.aclose()
    if piece := text.finish():
        yield Piece(piece)
    yield record.done()


class _Record:
    """What is known of a generation so far."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._prefilled: Prefilled | None = None
        self._first_ns = 0
        self._finished: tuple[FinishReason, int] | None = None
        self.likelihoods: list[Likelihood] = []
        """Of the latest tokens, until they are taken."""

    def take_likelihoods(self) -> tuple[Likelihood, ...]:
        taken, self.likelihoods = tuple(self.likelihoods), []
        return taken

    def add(self, events: list[Event]) -> bytes:
        """Note `events`; returns the bytes of their tokens."""
        pieces = []
        for event in events:
            match event:
                case Emitted():
                    self._tokens.append(event.token)
                    pieces.append(event.piece)
                case messages.Likelihood():
                    top = tuple(Alternative(one.piece, one.logprob) for one in event.top)
                    self.likelihoods.append(Likelihood(pieces[-1], event.logprob, top))
                case Prefilled():
                    self._prefilled = event
                    self._first_ns = time.perf_counter_ns()
                case Finished():
                    self._finished = event.reason, event.generate_ns
        return b"".join(pieces)

    def finish(self, reason: FinishReason) -> None:
        """The server ended the generation itself; it has only its own clock to time it."""
        self._finished = reason, time.perf_counter_ns() - self._first_ns

    def done(self) -> Done:
        assert self._prefilled is not None
        assert self._finished is not None
        reason, generate_ns = self._finished
        return Done(
            reason=reason,
            prompt_tokens=self._prefilled.prompt_tokens,
            prompt_ns=self._prefilled.prompt_ns,
            generated_tokens=len(self._tokens),
            generate_ns=generate_ns,
            tokens=tuple(self._tokens),
        )


def _limit(num_predict: int, window: int) -> int:
    limit = LIMIT_WINDOWS * window
    return limit if num_predict < 0 else min(num_predict, limit)


def _sampling(options: Options, window: int) -> Sampling:
    return Sampling(
        seed=options.seed if options.seed >= 0 else random.getrandbits(63),
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        typical_p=options.typical_p,
        mirostat=_mirostat(options.mirostat),
        mirostat_tau=options.mirostat_tau,
        mirostat_eta=options.mirostat_eta,
        repeat_last_n=window if options.repeat_last_n < 0 else options.repeat_last_n,
        repeat_penalty=options.repeat_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
    )


def _mirostat(version: int) -> Mirostat:
    try:
        return Mirostat(version)
    except ValueError as error:
        raise InvalidOptionError("mirostat", "integer, and 0, 1 or 2") from error
