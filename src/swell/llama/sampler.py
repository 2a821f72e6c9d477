"""Choosing tokens from logits."""

import ctypes
from collections import deque

from swell.llama.context import Context
from swell.llama.grammar import Grammar
from swell.llama.grammar_trigger import GrammarTrigger
from swell.llama.handle import Handle
from swell.llama.library import api
from swell.llama.model import Vocabulary
from swell.sampling import Mirostat, Sampling

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_MASK_64 = 2**64 - 1
_MIROSTAT_CANDIDATES = 100  # llama.cpp's own choice of m


def draw_seed(seed: int, index: int) -> int:
    """32 random bits for the `index`-th token of a generation: SplitMix64's finaliser over (seed, index).

    Depends on nothing else, so a generation that is carried on elsewhere draws what it would have drawn here.
    """
    mixed = (seed * _GOLDEN_GAMMA + (index + 1) * 0xD1342543DE82EF95) & _MASK_64
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return (mixed ^ (mixed >> 31)) >> 32


class Sampler(Handle):
    """A chain of llama.cpp samplers for one generation, in llama.cpp's usual order, and its grammar if it has one."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        sampling: Sampling,
        grammar: Grammar | None = None,
        trigger: GrammarTrigger | None = None,
    ) -> None:
        """With a `trigger`, the grammar binds only what comes after it."""
        self._grammar = grammar
        self._trigger = trigger
        super().__init__(api.llama_sampler_chain_init(api.llama_sampler_chain_default_params()), api.llama_sampler_free)
        self._seed = sampling.seed
        self._index = 0
        self._recent: deque[int] = deque(maxlen=sampling.repeat_last_n if _has_penalties(sampling) else 0)
        if self._recent.maxlen:
            self._add(
                api.llama_sampler_init_penalties(
                    vocabulary.size,
                    sampling.repeat_last_n,
                    sampling.repeat_penalty,
                    sampling.frequency_penalty,
                    sampling.presence_penalty,
                )
            )
        self._draws = self._add_choice(vocabulary, sampling)
        self._last_position = api.llama_sampler_chain_n(self.pointer) - 1

    def observe(self, prompt: list[int], emitted: list[int]) -> None:
        """Go on after a prompt and the tokens that were `emitted` before, as if this sampler had chosen them.

        The penalties count both; only the emitted ones have had their draws, and were followed by the grammar.
        """
        if self._recent.maxlen:
            self._recent.extend([*prompt, *emitted][-self._recent.maxlen :])
            self._replay()
        self._index += len(emitted)
        for token in emitted:
            is_document = self._trigger is None or self._trigger.is_passed or self._trigger.pass_on(token) is None
            if is_document and self._grammar is not None:
                self._grammar.accept(token)

    def sample(self, context: Context, batch_index: int) -> int:
        """The next token, from the logits of the token at `batch_index` of the batch decoded last."""
        chain = self.pointer  # looked up once: the check that it is still open takes half a microsecond
        if self._draws:
            # a fresh draw for every token: replacing the last sampler costs 4 µs
            api.llama_sampler_free(api.llama_sampler_chain_remove(chain, self._last_position))
            api.llama_sampler_chain_add(chain, api.llama_sampler_init_dist(draw_seed(self._seed, self._index)))
        self._index += 1
        token: int = api.llama_sampler_sample(chain, context.pointer, batch_index)
        if self._trigger is not None and not self._trigger.is_passed:
            token = self._before_grammar(self._trigger, token, context, batch_index)
        elif self._grammar is not None:
            token = self._in_grammar(self._grammar, token, context, batch_index)
        self._recent.append(token)
        return token

    def _before_grammar(self, trigger: GrammarTrigger, token: int, context: Context, batch_index: int) -> int:
        """`token`, or the one that the trigger or, if the document begins here, the grammar puts in its place."""
        taken = trigger.pass_on(token)
        if taken is None:
            return token if self._grammar is None else self._in_grammar(self._grammar, token, context, batch_index)
        if taken != token:
            self._replay()  # the other was counted
            api.llama_sampler_accept(self.pointer, taken)
        return taken

    def _in_grammar(self, grammar: Grammar, token: int, context: Context, batch_index: int) -> int:
        """`token` if the grammar allows it, which it mostly does, else one chosen among those that it allows."""
        if not grammar.allows(token):
            self._replay()  # the refused token was counted
            allowed = grammar.allowed(context, batch_index)
            api.llama_sampler_apply(self.pointer, ctypes.byref(allowed))
            token = int(allowed.data[allowed.selected].id)
            api.llama_sampler_accept(self.pointer, token)
        grammar.accept(token)
        return token

    def _replay(self) -> None:
        """Bring the penalties to what `_recent` says."""
        if self._recent.maxlen:
            api.llama_sampler_reset(self.pointer)
            for token in self._recent:
                api.llama_sampler_accept(self.pointer, token)

    def _add_choice(self, vocabulary: Vocabulary, sampling: Sampling) -> bool:
        """Add what chooses a token; True if its last part is a draw that is made anew for every token."""
        if sampling.temperature <= 0:
            self._add(api.llama_sampler_init_greedy())
            return False
        if sampling.mirostat is not Mirostat.OFF:
            self._add_mirostat(vocabulary, sampling)
            return False
        if sampling.top_k > 0:
            self._add(api.llama_sampler_init_top_k(sampling.top_k))
        if sampling.typical_p < 1:
            self._add(api.llama_sampler_init_typical(sampling.typical_p, 1))
        if sampling.top_p < 1:
            self._add(api.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            self._add(api.llama_sampler_init_min_p(sampling.min_p, 1))
        self._add(api.llama_sampler_init_temp(sampling.temperature))
        self._add(api.llama_sampler_init_dist(0))
        return True

    def _add_mirostat(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        """Mirostat remembers how surprising its tokens were, so it draws from a state and not by index."""
        self._add(api.llama_sampler_init_temp(sampling.temperature))
        seed, tau, eta = draw_seed(sampling.seed, 0), sampling.mirostat_tau, sampling.mirostat_eta
        if sampling.mirostat is Mirostat.V1:
            self._add(api.llama_sampler_init_mirostat(vocabulary.size, seed, tau, eta, _MIROSTAT_CANDIDATES))
        else:
            self._add(api.llama_sampler_init_mirostat_v2(seed, tau, eta))

    def _add(self, sampler: int) -> None:
        api.llama_sampler_chain_add(self.pointer, sampler)


def _has_penalties(sampling: Sampling) -> bool:
    return sampling.repeat_last_n > 0 and (
        sampling.repeat_penalty != 1 or sampling.frequency_penalty != 0 or sampling.presence_penalty != 0
    )
