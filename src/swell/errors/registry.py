"""Errors of transfers: what a registry refuses or does wrong, and what ends a pull or a push on this machine."""

from swell.errors.base import SwellError, error_dataclass
from swell.errors.requests import RequestError
from swell.errors.store import StoreError


class RegistryError(SwellError):
    """A registry can't be reached, refuses, or gives what can't be used."""


@error_dataclass
class RegistryUnreachableError(RegistryError):
    """`host` was not reached, or the connection to it broke or stalled; to try again may help."""

    host: str
    reason: str

    def __str__(self) -> str:
        return f"the connection to {self.host} failed: {self.reason}; check the name and the network, and try again"


@error_dataclass
class RegistryStatusError(RegistryError):
    """The registry refused. `step` says what was asked for and ends with a colon and a blank, or is ""; `body` is the
    beginning of what it said."""

    step: str
    status: int
    body: str

    def __str__(self) -> str:
        return f"{self.step}{self.status}: {self.body}"


@error_dataclass
class NotInRegistryError(RegistryError):
    """The registry has no such thing. `step` as in RegistryStatusError."""

    step: str

    def __str__(self) -> str:
        return f"{self.step}file does not exist"


@error_dataclass
class RegistryAnswerError(RegistryError):
    """The registry broke its protocol, or asks for something that isn't done for safety."""

    host: str
    reason: str

    def __str__(self) -> str:
        return f"{self.host} gave an answer that can't be used: {self.reason}"


@error_dataclass
class DownloadMismatchError(RegistryError):
    """What came isn't what the manifest promised; it has been deleted."""

    expected: str
    found: str

    def __str__(self) -> str:
        return f"digest mismatch, file must be downloaded again: want {self.expected}, got {self.found}"


@error_dataclass
class TransferLostError(RegistryError):
    """The process of a transfer can't be started or has ended amid it."""

    reason: str

    def __str__(self) -> str:
        return f"the process of the transfer was lost ({self.reason}); try again, it goes on where it stopped"


@error_dataclass
class DiskFullError(StoreError):
    """There is no room for what is pulled; what had come of it has been deleted."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}; free some space, or set OLLAMA_MODELS to a folder with more"


@error_dataclass
class InsecureProtocolError(RequestError):
    def __str__(self) -> str:
        return "insecure protocol http"


@error_dataclass
class TensorModelError(RequestError):
    """The model's weights are no GGUF."""

    def __str__(self) -> str:
        return "this model requires MLX support, but the MLX runtime is not available"
