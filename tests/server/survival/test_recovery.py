"""What is done at each rung, with a scheduler that only notes what it is asked."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from swell.cache import CacheType
from swell.errors import KvGrowError, ModelLoadError, RunnerLostError, SwellError
from swell.loss import Loss
from swell.server.models.model import Model, open_model
from swell.server.options import Options
from swell.server.runner import Runner
from swell.server.scheduling.fit import Fit
from swell.server.survival.ladder import Rung
from swell.server.survival.recovery import Limits, Recovery, retried

GROWTH = KvGrowError(from_cells=64, to_cells=96, max_cells=1024, needed_bytes=4, free_bytes=1)
KILLED = RunnerLostError(-9, Loss.KILLED)


class Noting:
    """Models as they are asked for."""

    def __init__(self, *, idle: int = 0, busy: int = 0, fit: Fit | None = None) -> None:
        self.idle, self.busy, self.fit = idle, busy, fit
        self.asked: list[object] = []

    @contextlib.asynccontextmanager
    async def lease(
        self, model: Model, keep_alive_s: float | None = None, options: Options | None = None, also: Fit | None = None
    ) -> AsyncIterator[Runner]:
        self.asked.append(also)
        yield cast(Runner, self)

    def fit_of(self, model: Model) -> Fit | None:
        return self.fit

    def count_idle(self, *, but: Model) -> int:
        return self.idle

    def count_busy(self) -> int:
        return self.busy

    async def evict_idle(self, *, but: Model) -> None:
        self.asked.append(f"evict all but {but.name}")
        self.idle = 0

    async def wait_for_change(self) -> None:
        self.asked.append("wait")


@pytest.fixture
def model(tiny_gguf: Path) -> Model:
    return open_model(tiny_gguf, "tiny:latest", "tiny")


def recovery(models: Noting, model: Model, rungs: Counter[Rung] | None = None, *, attempts: int = 4) -> Recovery:
    limits = Limits(attempts_max=attempts, is_cache_flexible=True)
    return Recovery(cast(Any, models), model, Options(), limits, Counter() if rungs is None else rungs)


def test_each_rung_is_done_counted_and_told(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swell.server.survival.recovery.back_off_s", lambda tried: 0)
    models, rungs = Noting(idle=1, busy=1, fit=Fit(cache_type=CacheType.F16)), Counter[Rung]()
    one = recovery(models, model, rungs)

    async def climb() -> list[Rung]:
        return [await one.after(GROWTH, 5) for _ in range(4)]

    taken = asyncio.run(climb())
    assert taken == [Rung.EVICT_IDLE, Rung.WAIT, Rung.SMALLER_CACHE, Rung.SMALLER_CACHE]
    assert models.asked == ["evict all but tiny:latest", "wait"]
    assert one.taken == taken
    assert rungs == Counter(taken)


def test_a_smaller_cache_is_asked_for_with_the_next_lease(model: Model) -> None:
    models = Noting(fit=Fit(cache_type=CacheType.F16))
    one = recovery(models, model)

    async def climb() -> None:
        assert await one.after(GROWTH, 5) is Rung.SMALLER_CACHE
        async with one.lease(None):
            pass

    asyncio.run(climb())
    assert models.asked == [Fit(cache_type=CacheType.Q8_0)]


def test_new_tokens_begin_the_ladder_anew(model: Model) -> None:
    one = recovery(Noting(), model, attempts=1)

    async def climb() -> list[Rung]:
        return [await one.after(KILLED, generated) for generated in (3, 4, 5, 5)]

    assert asyncio.run(climb()) == [Rung.RELOAD, Rung.RELOAD, Rung.RELOAD, Rung.GIVE_UP]


@pytest.mark.parametrize(("error", "calls"), [(KILLED, 3), (ModelLoadError("m", "no"), 1)])
def test_work_is_done_again_as_a_whole(
    model: Model, error: SwellError, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swell.server.survival.recovery.back_off_s", lambda tried: 0)
    done = 0

    async def work(_runner: Runner) -> int:
        nonlocal done
        done += 1
        raise error

    with pytest.raises(type(error)):
        asyncio.run(retried(recovery(Noting(), model, attempts=2), None, work))
    assert done == calls
