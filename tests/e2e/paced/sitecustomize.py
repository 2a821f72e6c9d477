"""Python imports this before anything else where PYTHONPATH names this folder.

A runner then takes 50 ms more for each batch, so that on a machine of any speed something can be done in the middle of
an answer of 60 tokens.
"""

import sys
import time

if "swell.runner" in sys.orig_argv:
    from swell.runner.engine import Engine

    _step = Engine.step

    def _step_and_rest(self: Engine) -> None:
        _step(self)
        time.sleep(0.05)

    setattr(Engine, "step", _step_and_rest)  # noqa: B010 - mypy lets no method be assigned to
