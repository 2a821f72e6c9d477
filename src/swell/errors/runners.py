"""Errors of the process that holds a model: it did not start, was lost, or was misunderstood."""

from swell.errors.base import SwellError, error_dataclass
from swell.loss import Loss


class RunnerError(SwellError):
    """The process that holds a model."""


@error_dataclass
class RunnerStartError(RunnerError):
    reason: str

    def __str__(self) -> str:
        return f"model runner could not be started: {self.reason}"


@error_dataclass
class LoadTimeoutError(RunnerStartError):
    """`reason` says what the server was waiting for."""

    def __str__(self) -> str:
        return f"timed out waiting for llama-server to start - {self.reason}"


@error_dataclass
class LoadDiedError(RunnerStartError):
    exit_code: int | None = None  # as in `subprocess`
    loss: Loss = Loss.CRASHED

    def __post_init__(self) -> None:
        self.loss = Loss(self.loss)  # plain data, if it comes from another process

    def __str__(self) -> str:
        return f"llama-server process has terminated: {self.reason}"


@error_dataclass
class LoadCrashedError(RunnerStartError):
    """`reason` is the path of the model's file."""

    crashes: int = 0

    def __str__(self) -> str:
        return (
            f"llama.cpp crashed {self.crashes} times while it loaded {self.reason}; replace the file, load it with "
            "other options, or try again in some minutes"
        )


@error_dataclass
class DevicesFullError(RunnerStartError):
    """More layers would be on devices if idle models were not there."""


@error_dataclass
class RunnerLostError(RunnerError):
    """`exit_code` as in `subprocess`: negative is the signal that ended it, None when it is not known."""

    exit_code: int | None = None
    loss: Loss = Loss.CRASHED

    def __post_init__(self) -> None:
        self.loss = Loss(self.loss)  # plain data, if it comes from another process

    def __str__(self) -> str:
        return (
            "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
            f"check the server's log for details ({self.loss.value}, exit code {self.exit_code})"
        )


@error_dataclass
class WorkerLostError(RunnerLostError):
    """`worker` (`host:port`) ended, can't be reached any more, or doesn't answer as a worker."""

    worker: str = ""

    def __str__(self) -> str:
        return (
            f"the worker {self.worker} was lost, and with it the model that used it: it ended, its machine can't be "
            "reached, or it runs another version of llama.cpp"
        )


@error_dataclass
class InterruptedTurnError(RunnerError):
    """`reason` is the text of the error that ended the answer."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@error_dataclass
class UnreadError(RunnerError):
    """The generation was stopped because its reader is far behind; it goes on when the reader has caught up."""

    def __str__(self) -> str:
        return "the answer isn't read as fast as it is written"


@error_dataclass
class ProtocolError(RunnerError):
    reason: str

    def __str__(self) -> str:
        return f"model runner broke the protocol: {self.reason}"
