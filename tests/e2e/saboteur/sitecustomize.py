"""Python imports this before anything else where PYTHONPATH names this folder.

A runner then makes, after SIGUSR1, a mistake that llama.cpp finds by an assertion of its own: it samples from a token
that has no logits.
"""

import signal
import sys


def _break(_signal: int, _frame: object) -> None:
    from swell.llama.context import Context
    from swell.llama.sampler import Sampler

    sample = Sampler.sample

    def sample_nothing(self: Sampler, context: Context, _batch_index: int) -> int:
        return sample(self, context, 1_000_000)

    setattr(Sampler, "sample", sample_nothing)  # noqa: B010 - mypy lets no method be assigned to


if "swell.runner" in sys.orig_argv:
    signal.signal(signal.SIGUSR1, _break)
