"""Which failures can be tried again."""

import pytest

from swell.errors import (
    DecodeError,
    InvalidFormatError,
    KvGrowError,
    LoadDiedError,
    LoadTimeoutError,
    ModelLoadError,
    ProtocolError,
    RunnerLostError,
    ServerStoppingError,
    SwellError,
    WorkerLostError,
)
from swell.loss import Loss
from swell.supervisor.causes import Cause, cause_of, loss_of

GROWTH = KvGrowError(from_cells=1, to_cells=2, max_cells=3, needed_bytes=4, free_bytes=5)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (GROWTH, Cause.GROWTH_REFUSED),
        (DecodeError(-3, 1), Cause.DECODE_FAILED),
        (ProtocolError("?"), Cause.PROTOCOL_BROKEN),
        (RunnerLostError(-9, Loss.KILLED), Cause.RUNNER_KILLED),
        (RunnerLostError(-9, Loss.OUT_OF_MEMORY), Cause.OUT_OF_MEMORY),
        (RunnerLostError(-11), Cause.RUNNER_CRASHED),
        (RunnerLostError(-9, Loss.STUCK), Cause.RUNNER_STUCK),
        (WorkerLostError(3, Loss.WORKER, "host:1"), Cause.WORKER_LOST),
        (LoadDiedError("signal"), Cause.LOAD_DIED),
        (LoadTimeoutError("slow"), None),
        (ModelLoadError("m", "no"), None),
        (InvalidFormatError("x"), None),
        (ServerStoppingError(), None),
    ],
)
def test_the_table(error: SwellError, cause: Cause | None) -> None:
    assert cause_of(error) is cause


def test_every_loss_has_a_cause() -> None:
    assert all(cause_of(RunnerLostError(1, loss)) for loss in Loss)


@pytest.mark.parametrize(
    ("exit_code", "kills", "loss"),
    [
        (-9, 0, Loss.KILLED),
        (-9, 1, Loss.OUT_OF_MEMORY),
        (-15, 0, Loss.KILLED),
        (-11, 1, Loss.CRASHED),
        (-6, 0, Loss.CRASHED),
        (70, 0, Loss.CRASHED),
        (None, 0, Loss.CRASHED),
    ],
)
def test_how_a_process_ended_tells_what_became_of_it(exit_code: int | None, kills: int, loss: Loss) -> None:
    assert loss_of(exit_code, kills=kills) is loss
