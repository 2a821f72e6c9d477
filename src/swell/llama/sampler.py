"""Choosing tokens from logits."""

from swell.llama.context import Context
from swell.llama.handle import Handle
from swell.llama.library import api
from swell.llama.model import Vocabulary
from swell.sampling import Sampling

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_MASK_64 = 2**64 - 1


def draw_seed(seed: int, index: int) -> int:
    """32 random bits for the `index`-th token of a generation: SplitMix64's finaliser over (seed, index).

    Depends on nothing else, so a generation that is carried on elsewhere draws what it would have drawn here.
    """
    mixed = (seed * _GOLDEN_GAMMA + (index + 1) * 0xD1342543DE82EF95) & _MASK_64
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return (mixed ^ (mixed >> 31)) >> 32


class Sampler(Handle):
    """A chain of llama.cpp samplers for one generation, in llama.cpp's usual order."""

    def __init__(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        super().__init__(chain, api.llama_sampler_free)
        self._seed = sampling.seed
        self._index = 0
        self._penalty_tokens = sampling.repeat_last_n if _has_penalties(sampling) else 0
        if self._penalty_tokens:
            self._add(
                api.llama_sampler_init_penalties(
                    vocabulary.size,
                    sampling.repeat_last_n,
                    sampling.repeat_penalty,
                    sampling.frequency_penalty,
                    sampling.presence_penalty,
                )
            )
        self._is_greedy = sampling.temperature <= 0
        if self._is_greedy:
            self._add(api.llama_sampler_init_greedy())
            return
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
        self._draw_position = api.llama_sampler_chain_n(chain) - 1

    def observe(self, tokens: list[int]) -> None:
        """Let the penalties know tokens that are already there: the end of the prompt."""
        pointer = self.pointer
        for token in tokens[-self._penalty_tokens :] if self._penalty_tokens else ():
            api.llama_sampler_accept(pointer, token)

    def sample(self, context: Context, batch_index: int) -> int:
        """The next token, from the logits of the token at `batch_index` of the batch decoded last."""
        pointer = self.pointer
        if not self._is_greedy:
            # a fresh draw for every token: replacing the last sampler costs 4 µs
            api.llama_sampler_free(api.llama_sampler_chain_remove(pointer, self._draw_position))
            self._add(api.llama_sampler_init_dist(draw_seed(self._seed, self._index)))
        self._index += 1
        return int(api.llama_sampler_sample(pointer, context.pointer, batch_index))

    def _add(self, sampler: int) -> None:
        api.llama_sampler_chain_add(self.pointer, sampler)


def _has_penalties(sampling: Sampling) -> bool:
    return sampling.repeat_last_n > 0 and (
        sampling.repeat_penalty != 1 or sampling.frequency_penalty != 0 or sampling.presence_penalty != 0
    )
