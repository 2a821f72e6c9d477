"""Errors that llama.cpp causes."""

from swell.errors.base import SwellError, error_dataclass


class LlamaError(SwellError):
    """llama.cpp refused something."""


@error_dataclass
class LibraryError(LlamaError):
    reason: str

    def __str__(self) -> str:
        return f"the llama.cpp library can't be used: {self.reason}"


@error_dataclass
class DeviceLimitError(LlamaError):
    """A limit is set for `device`, and with this library it can't be kept."""

    device: str
    reason: str

    def __str__(self) -> str:
        return f"SWELL_DEVICE_MEMORY can't be kept on {self.device}: {self.reason}"


@error_dataclass
class ModelLoadError(LlamaError):
    path: str
    reason: str

    def __str__(self) -> str:
        return f"unable to load model {self.path}: {self.reason}"


@error_dataclass
class DamagedModelError(ModelLoadError):
    """The file itself is at fault: to try again, or with other options, won't help."""


@error_dataclass
class ContextError(LlamaError):
    cells: int
    slots: int
    reason: str

    def __str__(self) -> str:
        return f"unable to create a context of {self.slots} x {self.cells} cells: {self.reason}"


@error_dataclass
class TokenizeError(LlamaError):
    reason: str

    def __str__(self) -> str:
        return f"unable to tokenize: {self.reason}"


@error_dataclass
class StateError(LlamaError):
    reason: str

    def __str__(self) -> str:
        return f"unable to move the state of a sequence: {self.reason}"


@error_dataclass
class EmbeddingValueError(LlamaError):
    def __str__(self) -> str:
        return "the model gave a vector with values that are no numbers (NaN or infinite)"


@error_dataclass
class DecodeError(LlamaError):
    """`llama_decode` returned `code` for a batch of `batch_tokens`."""

    code: int
    batch_tokens: int

    def __str__(self) -> str:
        return f"unable to decode a batch of {self.batch_tokens} tokens (llama_decode returned {self.code})"


@error_dataclass
class NoRoomError(DecodeError):
    def __str__(self) -> str:
        return f"no free cells for a batch of {self.batch_tokens} tokens"


@error_dataclass
class AbortedError(DecodeError):
    def __str__(self) -> str:
        return f"the decoding of {self.batch_tokens} tokens was aborted"


@error_dataclass
class QuantizeError(LlamaError):
    """Weights can't be written in another type."""

    reason: str

    def __str__(self) -> str:
        return f"unable to convert the weights: {self.reason}"
