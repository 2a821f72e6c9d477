"""Python imports this before anything else where PYTHONPATH names this folder. It makes runners break:

- after SIGUSR1, by an assertion of llama.cpp's own: a token is sampled where there are no logits,
- after SIGUSR2, by freezing in the midst of asking for memory,
- by a request for exactly POISON tokens, as soon as it is there, or for SLOW_POISON, after each token of it,
- by freezing after a few tokens of a request for exactly HELD,
- by a file that is called CRASHING, while it is loaded.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

POISON, SLOW_POISON, HELD, CRASHING = 1313, 1717, 30, "crashing.gguf"
_HELD_AT = 5


def _break(_signal: int, _frame: object) -> None:
    from swell.llama.context import Context
    from swell.llama.sampler import Sampler

    sample = Sampler.sample

    def sample_nothing(self: Sampler, context: Context, _batch_index: int) -> int:
        return sample(self, context, 1_000_000)

    setattr(Sampler, "sample", sample_nothing)  # noqa: B010 - mypy lets no method be assigned to


def _freeze_at_claim(_signal: int, _frame: object) -> None:
    from swell.memory.probe import MemoryProbe

    free_bytes = MemoryProbe.free_bytes

    def freeze(self: MemoryProbe) -> int:
        os.kill(os.getpid(), signal.SIGSTOP)
        return free_bytes(self)

    setattr(MemoryProbe, "free_bytes", freeze)  # noqa: B010


def _poison_engine(module: ModuleType) -> None:
    begin, submit = module.Engine.__init__, module.Engine.submit
    slow = set[int]()
    held = Counter[int]()

    def submit_or_die(self: Any, work: Any) -> None:
        tokens = getattr(work, "limit_tokens", None)
        if tokens == POISON:
            os.abort()
        if tokens == SLOW_POISON:
            slow.add(work.id)
        if tokens == HELD:
            held[work.id] = _HELD_AT
        submit(self, work)

    def begin_to_watch(self: Any, *args: Any, deliver: Callable[[Any], None], **kwargs: Any) -> None:
        def deliver_and_die(output: Any) -> None:
            deliver(output)
            if any(event.id in slow for event in output.emitted):
                os.abort()
            for event in output.emitted:
                held[event.id] -= 1
                if held[event.id] == 0:
                    os.kill(os.getpid(), signal.SIGSTOP)

        begin(self, *args, deliver=deliver_and_die, **kwargs)

    module.Engine.__init__, module.Engine.submit = begin_to_watch, submit_or_die


def _poison_model(module: ModuleType) -> None:
    begin = module.LlamaModel.__init__

    def begin_or_die(self: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        if path.name == CRASHING:
            os.abort()
        begin(self, path, *args, **kwargs)

    module.LlamaModel.__init__ = begin_or_die


_POISONS: dict[str, Callable[[ModuleType], None]] = {
    "swell.runner.engine": _poison_engine,
    "swell.llama.model": _poison_model,
}


class _Poisoner(importlib.abc.MetaPathFinder):
    """Lets modules be imported as ever, and then changes them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if (poison := _POISONS.get(name)) is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_poison(module: ModuleType) -> None:
            execute(module)
            poison(module)

        setattr(spec.loader, "exec_module", execute_and_poison)  # noqa: B010 - as above
        return spec


if "swell.runner" in sys.orig_argv:
    signal.signal(signal.SIGUSR1, _break)
    signal.signal(signal.SIGUSR2, _freeze_at_claim)
    sys.meta_path.insert(0, _Poisoner())
