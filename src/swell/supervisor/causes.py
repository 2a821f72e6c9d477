"""Failures as data: what stopped a generation, and whether it may be tried again."""

import signal
from enum import Enum

from swell.errors import (
    DecodeError,
    KvGrowError,
    LoadDiedError,
    ProtocolError,
    RunnerLostError,
    SwellError,
)
from swell.loss import Loss


class Cause(Enum):
    """Why a generation stopped that could go on. What isn't here, a request's own fault above all, is final."""

    GROWTH_REFUSED = "growth refused"
    DECODE_FAILED = "decode failed"
    RUNNER_KILLED = "runner killed"
    RUNNER_CRASHED = "runner crashed"
    OUT_OF_MEMORY = "runner killed for want of memory"
    WORKER_LOST = "worker lost"
    RUNNER_STUCK = "runner stuck"
    REPLICA_LOST = "replica lost"
    PROTOCOL_BROKEN = "protocol broken"
    LOAD_DIED = "runner died while it loaded"

    @property
    def is_death(self) -> bool:
        """Whether a runner ended while it worked, so that what it worked at may be why."""
        return self in _DEATHS


_DEATHS = {
    Cause.RUNNER_KILLED,
    Cause.RUNNER_CRASHED,
    Cause.OUT_OF_MEMORY,
    Cause.RUNNER_STUCK,
    Cause.PROTOCOL_BROKEN,
}
_LOSSES = {
    Loss.KILLED: Cause.RUNNER_KILLED,
    Loss.CRASHED: Cause.RUNNER_CRASHED,
    Loss.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    Loss.WORKER: Cause.WORKER_LOST,
    Loss.STUCK: Cause.RUNNER_STUCK,
    Loss.REPLICA: Cause.REPLICA_LOST,
}


def cause_of(error: SwellError) -> Cause | None:
    """Why it can be tried again; None where it can't."""
    match error:
        case KvGrowError():
            return Cause.GROWTH_REFUSED
        case DecodeError():
            return Cause.DECODE_FAILED
        case ProtocolError():
            return Cause.PROTOCOL_BROKEN
        case RunnerLostError():
            return _LOSSES[error.loss]
        case LoadDiedError():
            return Cause.LOAD_DIED
        case _:
            return None


def loss_of(exit_code: int | None, *, kills: int) -> Loss:
    """What became of a process that nobody here has ended, by its exit code and by how many processes of its group the
    kernel has killed for want of memory since it was last seen alive."""
    if exit_code == -signal.SIGKILL:
        return Loss.OUT_OF_MEMORY if kills else Loss.KILLED
    if exit_code in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
        return Loss.KILLED
    return Loss.CRASHED
