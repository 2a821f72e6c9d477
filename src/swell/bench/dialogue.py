"""A conversation as agents send it: in each turn a long beginning and all that followed, without the last thoughts.

Pure.
"""

from collections.abc import Sequence

THOUGHT_TOKENS, ANSWER_TOKENS, TURN_TOKENS = 64, 32, 64
GENERATED_TOKENS = THOUGHT_TOKENS + ANSWER_TOKENS
_FIRST_TOKEN, _TOKENS, _STEP = 20, 200, 37  # ordinary tokens in every vocabulary, also in one of bytes


def window_of(prompt_tokens: int, turns: int) -> int:
    """Tokens that a conversation of so many turns takes which begins with `prompt_tokens`."""
    return prompt_tokens + turns * (TURN_TOKENS + GENERATED_TOKENS)


class Dialogue:
    """`prompt` is what the next turn sends."""

    def __init__(self, prompt_tokens: int) -> None:
        self.prompt = _text(prompt_tokens, 0)

    def go_on(self, generated: Sequence[int]) -> None:
        """The model has answered; its thoughts are left out, and somebody asks something else."""
        self.prompt = [*self.prompt, *generated[-ANSWER_TOKENS:], *_text(TURN_TOKENS, len(self.prompt))]


def _text(tokens: int, start: int) -> list[int]:
    return [_FIRST_TOKEN + (start + place) * _STEP % _TOKENS for place in range(tokens)]
