"""A conversation as agents send it: in each turn a long beginning and all that followed, without the last thoughts.

Pure.
"""

from collections.abc import Sequence

from swell.bench.text import text

THOUGHT_TOKENS, ANSWER_TOKENS, TURN_TOKENS = 64, 32, 64
GENERATED_TOKENS = THOUGHT_TOKENS + ANSWER_TOKENS


def window_of(prompt_tokens: int, turns: int) -> int:
    """Tokens that a conversation of so many turns takes which begins with `prompt_tokens`."""
    return prompt_tokens + turns * (TURN_TOKENS + GENERATED_TOKENS)


class Dialogue:
    """`prompt` is what the next turn sends."""

    def __init__(self, prompt_tokens: int) -> None:
        self.prompt = text(prompt_tokens, 0)

    def go_on(self, generated: Sequence[int]) -> None:
        """The model has answered; its thoughts are left out, and somebody asks something else."""
        self.prompt = [*self.prompt, *generated[-ANSWER_TOKENS:], *text(TURN_TOKENS, len(self.prompt))]
