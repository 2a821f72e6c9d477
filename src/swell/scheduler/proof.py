"""The proof that llama.cpp can compute with a file, asked of a model whose runner crashed before it had answered."""

import logging

from swell.errors import RunnerLostError, SwellError, WorkerLostError
from swell.protocol.messages import Generate
from swell.sampling import Sampling
from swell.supervisor.process import load_died
from swell.supervisor.runner import Runner

log = logging.getLogger(__name__)

_TEXT = "One, two: \u00e9\u4e16\U0001f600 3\n"
"""Letters, digits and bytes that no vocabulary has as words."""
_TOKENS = 2


async def prove(runner: Runner) -> None:
    """Have a runner read a text, and write two tokens or a vector.

    Raises LoadDiedError if it doesn't survive that. What else goes wrong, requests will be told.
    """
    try:
        await _use(runner)
    except WorkerLostError:
        raise
    except RunnerLostError as error:
        raise load_died(error) from error
    except SwellError as error:
        log.info("runner %d can't compute: %s", runner.process_id, error)
    except BaseException:
        await runner.stop()
        raise


async def _use(runner: Runner) -> None:
    facts = runner.facts
    tokens = await runner.tokenize(_TEXT, add_special=True, parse_special=True)
    tokens = tokens[: max(facts.context_max - _TOKENS, 1)]
    if not tokens:
        return
    if facts.store is None:
        await runner.embed([tokens])
        return
    order = Generate(
        id=0, prompt=tokens, window_tokens=facts.context_max, limit_tokens=_TOKENS, sampling=Sampling(seed=0)
    )
    with runner.generating(order) as stream:
        async for _ in stream:
            pass
