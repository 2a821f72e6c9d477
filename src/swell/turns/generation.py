"""One generation: the parts of its output, how it ended, and the journal from which another runner goes on."""

import codecs
import dataclasses
import logging
import random
import time
from collections.abc import Sequence

import msgspec

from swell.options import Options
from swell.protocol import messages
from swell.protocol.messages import Emitted, Finished, FinishReason, Generate, Loaded, Prefilled
from swell.sampling import Mirostat, Sampling, ThinkingPreamble
from swell.settings import Settings
from swell.supervisor.stream import Event
from swell.text.parsing.parser import Parser, with_likelihoods
from swell.text.parsing.parts import Alternative, Likelihood, Part
from swell.text.parsing.stops import StopStrings
from swell.turns.repetition import Repetition

log = logging.getLogger(__name__)

MIN_WINDOW_TOKENS = 4
"""A smaller `num_ctx` is raised to this, as Ollama does."""
LIMIT_WINDOWS = 10
"""Without a smaller `num_predict`, a generation ends after this many windows, as in Ollama."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationParams:
    """What a request wants beside its options.

    `keep_tokens`: when the window is full, forget half of what follows the first so many tokens; None: end there.
    `schema`: a JSON schema that the output must follow, after `preamble`. `top_logprobs`: None for no likelihoods.
    `visible`: control tokens to show. `dropped_tokens` of the prompt didn't fit.
    """

    keep_tokens: int | None = None
    schema: str | None = None
    preamble: ThinkingPreamble | None = None
    top_logprobs: int | None = None
    visible: Sequence[str] = ()
    dropped_tokens: int = 0


@dataclasses.dataclass(frozen=True)
class GenerationOutcome:
    """How a generation ended. `prompt_tokens` counts cached ones, `generated_tokens` the one that ends the text."""

    reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    prompt_ns: int
    generated_tokens: int
    generate_ns: int


def window_tokens(num_ctx: int | None, facts: Loaded, settings: Settings) -> int:
    """The ceiling of a request: its `num_ctx`, else the setting, else all the model was trained for; never more."""
    wanted = num_ctx if num_ctx is not None else settings.context_length or facts.context_max
    return min(max(wanted, MIN_WINDOW_TOKENS), facts.context_max)


class Generation:
    """A prompt carried on, by one runner or, when that is lost, by one after the other.

    Its journal is the Generate message, whose seed was drawn once, and the tokens that came. The text that is held back
    and what was given out are kept here, so a runner that takes over sends only new tokens.
    """

    def __init__(
        self,
        prompt: list[int],
        options: Options,
        params: GenerationParams,
        *,
        window_tokens: int,
        parser: Parser,
        repetition: Repetition | None = None,
    ) -> None:
        """The prompt must be shorter than the window. `parser` reads the output. Without `repetition` the model may
        repeat itself endlessly.
        """
        self._order = Generate(
            id=0,
            prompt=prompt,
            window_tokens=window_tokens,
            limit_tokens=_limit(options.num_predict, window_tokens),
            sampling=_sampling(options, window_tokens),
            keep_tokens=params.keep_tokens,
            threads=options.threads,
            batch_tokens=options.num_batch if options.num_batch and options.num_batch > 0 else None,
            schema=params.schema,
            preamble=params.preamble,
            top_logprobs=params.top_logprobs,
            visible=list(params.visible),
            cut_tokens=params.dropped_tokens,
        )
        self.tokens: list[int] = []
        """What was generated so far."""
        self._piece = b""
        self._piece_bytes: list[int] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parser = StopStrings(parser, options.stop)
        self._repetition = repetition
        self._likelihoods: list[Likelihood] = []
        self._prefilled: Prefilled | None = None
        self._first_ns = 0
        self._runs = 0
        self._end_tokens = 0
        self._finished: tuple[FinishReason, int] | None = None

    def order(self) -> Generate:
        """The message that starts it in a runner; the tokens that came from earlier runners go along."""
        self._runs += 1
        return msgspec.structs.replace(self._order, emitted=self.tokens) if self.tokens else self._order

    def feed(self, events: Sequence[Event]) -> Sequence[Part]:
        """Take in `events` of a runner; returns the parts that are certain now: of whole characters, without stop
        strings, and with how likely their tokens were, if that was asked for.
        """
        parts = self._read(events)
        if self.is_stopped:
            self._end(FinishReason.STOP if self.stop else FinishReason.LENGTH)
        taken, self._likelihoods = tuple(self._likelihoods), []
        return with_likelihoods(parts, taken)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string was met, or the model only repeats itself: nothing that follows counts."""
        return bool(self._parser.met) or (self._repetition is not None and self._repetition.is_endless)

    @property
    def stop(self) -> str:
        """The stop string that was met, if one was."""
        return self._parser.met

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self._finished is not None

    @property
    def shown_tokens(self) -> Sequence[int]:
        """The tokens of the text so far, without a stop string's and what came after it."""
        count = len(self.tokens)
        cut_bytes = len(self._parser.cut.encode()) + len(self._decoder.getstate()[0]) if self.stop else 0
        while cut_bytes > 0 and count:
            count -= 1
            cut_bytes -= self._piece_bytes[count]
        return self.tokens[:count]

    @property
    def size_tokens(self) -> int:
        """How many tokens a runner holds for it: all so far, or a window of them."""
        return min(len(self._order.prompt) + len(self.tokens), self._order.window_tokens)

    def end_window(self, tokens: int) -> bool:
        """Let the window be only so long; False if the generation has come to its end by that."""
        known = len(self._order.prompt) + len(self.tokens)
        window = max(tokens, MIN_WINDOW_TOKENS)
        if self._order.keep_tokens is None or window <= len(self._order.prompt):
            self._end(FinishReason.LENGTH)
            return False
        log.warning("the window ends after %d tokens, of %d: there is no memory for more", window, known)
        self._order = msgspec.structs.replace(self._order, window_tokens=window)
        return True

    @property
    def cached_tokens(self) -> int:
        """How much of the prompt the first runner to read it needn't compute."""
        return self._prefilled.cached_tokens if self._prefilled else 0

    def rest(self) -> Sequence[Part]:
        """What was held back, when nothing will follow it. An incomplete character is dropped."""
        parts = self._parser.finish()
        if self.stop:
            self._end(FinishReason.STOP)
        return parts

    def outcome(self) -> GenerationOutcome:
        """How it ended, or what there was of it before it failed."""
        reason, generate_ns = self._finished or (FinishReason.STOP, self._since_first_ns())
        return GenerationOutcome(
            reason=reason,
            prompt_tokens=len(self._order.prompt),
            cached_tokens=self.cached_tokens,
            prompt_ns=self._prefilled.prompt_ns if self._prefilled else 0,
            generated_tokens=len(self.tokens) + self._end_tokens,
            generate_ns=generate_ns,
        )

    def _read(self, events: Sequence[Event]) -> list[Part]:
        """The parts that are certain after `events`. What comes after the text was stopped is left
        out: how much that is depends on who was faster.
        """
        parts: list[Part] = []
        for event in events:
            match event:
                case messages.TokenLikelihood():
                    top = tuple(Alternative(one.piece, one.logprob) for one in event.top)
                    self._likelihoods.append(Likelihood(self._piece, event.logprob, top))
                case _ if self.is_stopped:
                    break
                case Emitted():
                    self.tokens.append(event.token)
                    self._piece = event.piece
                    self._piece_bytes.append(len(event.piece))
                    if text := self._decoder.decode(event.piece):
                        parts += self._parser.feed(text)
                    if self._repetition is not None:
                        self._repetition.feed(event.piece)
                case Prefilled() if self._prefilled is None:
                    self._prefilled = event
                    self._first_ns = time.perf_counter_ns()
                case Finished():
                    self._end_tokens = int(event.reason is FinishReason.STOP)  # it was sampled, and has no text
                    if self._runs > 1:
                        self._end(event.reason)
                    else:
                        self._finished = event.reason, event.generate_ns
        return parts

    def _end(self, reason: FinishReason) -> None:
        """End it for a reason of the server's, or after several runners: the time is taken here."""
        self._finished = reason, self._since_first_ns()

    def _since_first_ns(self) -> int:
        return time.perf_counter_ns() - self._first_ns if self._first_ns else 0


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
        mirostat=Mirostat(options.mirostat),
        mirostat_tau=options.mirostat_tau,
        mirostat_eta=options.mirostat_eta,
        # llama.cpp allocates what is asked for: 8 GB for the largest number there is.
        repeat_last_n=window if options.repeat_last_n < 0 else min(options.repeat_last_n, window),
        repeat_penalty=options.repeat_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
    )
