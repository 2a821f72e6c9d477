"""Every error Swell raises, as one tree.

SwellError
├── LlamaError                 llama.cpp refused something
│   ├── LibraryError           the library or a symbol in it can't be used
│   ├── ModelLoadError         the weights can't be loaded
│   │   └── DamagedModelError  their file isn't a sound GGUF
│   ├── ContextError           a context can't be created
│   ├── TokenizeError          a text can't be turned into tokens
│   ├── StateError             a saved state can't be read or put back
│   ├── EmbeddingValueError    a vector holds something that is no number
│   └── DecodeError            a batch was not computed
│       ├── NoRoomError        no free cells for the batch
│       └── AbortedError       stopped by request
├── KvError                    the elastic cache
│   ├── KvLayoutError          llama.cpp's internals are not what Reserved knows; another store must be used
│   └── KvGrowError            a growth was refused; carries all the numbers
├── RunnerError                the process that holds a model
│   ├── RunnerStartError       it did not become ready
│   │   ├── LoadTimeoutError   it took too long
│   │   ├── LoadDiedError      it ended, perhaps for want of memory
│   │   ├── LoadCrashedError   it crashed each time
│   │   └── DevicesFullError   idle models have what it needs on devices
│   ├── RunnerLostError        it died, or its connection did
│   │   └── WorkerLostError    a worker it needs did
│   ├── InterruptedTurnError   an answer that had begun could not be carried on
│   ├── UnreadError            it writes much faster than its client reads
│   └── ProtocolError          it said something that can't be understood
└── RequestError               the client must change something
    ├── InvalidRequestError    the request makes no sense
    ├── NoSuchPathError        nothing is at its path
    ├── WrongMethodError       something is, but not for its method
    ├── BodyTooLargeError      its body is longer than is allowed
    ├── InvalidOptionError     an option has the wrong type
    ├── InvalidFormatError     `format` is neither "json" nor a schema
    ├── InvalidTemplateError   the `template` of a request can't be read
    ├── ServerBusyError        too many requests wait already
    ├── ServerStoppingError    there is no more time to answer
    ├── ModelNotFoundError     no such model
    │   └── ModelNotPulledError  the same, as the endpoints for embeddings word it
    ├── UnsupportedError       the model, or Swell, can't do what is asked
    ├── NoEmbeddingsError      the model doesn't make embeddings
    └── ContextOverflowError   there is more to read than the window holds
        ├── PromptTooLongError     the prompt doesn't fit
        │   └── UnshiftablePromptError  and nothing of it may be given up
        └── InputTooLongError      a text to embed doesn't fit and may not be cut
            ├── LegacyInputTooLongError  the same, where Ollama calls it a failure of its own
            └── UncuttableInputError     it may be cut, but nothing would be left

Errors are dataclasses: what they carry is data, and `__str__` is only its wording for people. `to_data` and
`from_data` take them across a process boundary. Nothing recognises an error by its text.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

from swell.loss import Loss

E = TypeVar("E", bound="SwellError")


class ErrorData(NamedTuple):
    """An error on its way to another process."""

    kind: str
    fields: dict[str, Any]


class SwellError(Exception):
    """Root of the tree."""

    kinds: ClassVar[dict[str, type["SwellError"]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        SwellError.kinds[cls.__name__] = cls

    def __reduce__(self) -> tuple[Any, ...]:
        return from_data, to_data(self)


@dataclass_transform(eq_default=False)
def _error(cls: type[E]) -> type[E]:
    """Make `cls` a dataclass that still hashes and compares by identity, as exceptions must."""
    return dataclasses.dataclass(eq=False, repr=False)(cls)


@_error
class UnexpectedError(SwellError):
    """Something that is none of the below: a bug. Carries what was known of it."""

    reason: str

    def __str__(self) -> str:
        return self.reason


# --- llama.cpp -------------------------------------------------------------------------------------------------


class LlamaError(SwellError):
    """llama.cpp refused something."""


@_error
class LibraryError(LlamaError):
    reason: str

    def __str__(self) -> str:
        return f"the llama.cpp library can't be used: {self.reason}"


@_error
class ModelLoadError(LlamaError):
    path: str
    reason: str

    def __str__(self) -> str:
        return f"unable to load model {self.path}: {self.reason}"


@_error
class DamagedModelError(ModelLoadError):
    """Nothing will help but another file."""


@_error
class ContextError(LlamaError):
    cells: int
    slots: int
    reason: str

    def __str__(self) -> str:
        return f"unable to create a context of {self.slots} x {self.cells} cells: {self.reason}"


@_error
class TokenizeError(LlamaError):
    reason: str

    def __str__(self) -> str:
        return f"unable to tokenize: {self.reason}"


@_error
class StateError(LlamaError):
    reason: str

    def __str__(self) -> str:
        return f"unable to move the state of a sequence: {self.reason}"


@_error
class EmbeddingValueError(LlamaError):
    def __str__(self) -> str:
        return "the model gave a vector with values that are no numbers (NaN or infinite)"


@_error
class DecodeError(LlamaError):
    """`llama_decode` returned `code` for a batch of `batch_tokens`."""

    code: int
    batch_tokens: int

    def __str__(self) -> str:
        return f"unable to decode a batch of {self.batch_tokens} tokens (llama_decode returned {self.code})"


@_error
class NoRoomError(DecodeError):
    def __str__(self) -> str:
        return f"no free cells for a batch of {self.batch_tokens} tokens"


@_error
class AbortedError(DecodeError):
    def __str__(self) -> str:
        return f"the decoding of {self.batch_tokens} tokens was aborted"


# --- the elastic cache -----------------------------------------------------------------------------------------


class KvError(SwellError):
    """The elastic cache."""


@_error
class KvLayoutError(KvError):
    reason: str

    def __str__(self) -> str:
        return f"llama.cpp's internals differ from what the Reserved store knows: {self.reason}"


@_error
class KvGrowError(KvError):
    """A slot's grant can't be raised from `from_cells` to `to_cells`; what it has is untouched."""

    from_cells: int
    to_cells: int
    max_cells: int
    needed_bytes: int
    free_bytes: int

    @property
    def missing_bytes(self) -> int:
        return self.needed_bytes - self.free_bytes

    def __str__(self) -> str:
        return (
            f"insufficient memory while expanding the KV cache: cells {self.from_cells} → {self.to_cells}, "
            f"max {self.max_cells}, needs {self.needed_bytes / 1e6:.1f} MB, {self.free_bytes / 1e6:.1f} MB free"
        )


# --- the runner ------------------------------------------------------------------------------------------------


class RunnerError(SwellError):
    """The process that holds a model."""


@_error
class RunnerStartError(RunnerError):
    reason: str

    def __str__(self) -> str:
        return f"model runner could not be started: {self.reason}"


@_error
class LoadTimeoutError(RunnerStartError):
    """`reason` is what it was waited for."""

    def __str__(self) -> str:
        return f"timed out waiting for llama-server to start - {self.reason}"


@_error
class LoadDiedError(RunnerStartError):
    exit_code: int | None = None  # as in `subprocess`

    def __str__(self) -> str:
        return f"llama-server process has terminated: {self.reason}"


@_error
class LoadCrashedError(RunnerStartError):
    """`reason` is the file."""

    crashes: int = 0

    def __str__(self) -> str:
        return (
            f"llama.cpp crashed {self.crashes} times while it loaded {self.reason}; replace the file, load it with "
            "other options, or try again in some minutes"
        )


@_error
class DevicesFullError(RunnerStartError):
    """More layers would be on devices if idle models were not there."""


@_error
class RunnerLostError(RunnerError):
    """`exit_code` as in `subprocess`: negative is the signal that ended it, None when it is not known."""

    exit_code: int | None = None
    loss: Loss = Loss.CRASHED

    def __str__(self) -> str:
        return (
            "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
            f"check the server's log for details ({self.loss.value}, exit code {self.exit_code})"
        )


@_error
class WorkerLostError(RunnerLostError):
    """`worker` (`host:port`) ended, can't be reached any more, or doesn't answer as a worker."""

    worker: str = ""

    def __str__(self) -> str:
        return (
            f"the worker {self.worker} was lost, and with it the model that used it: it ended, its machine can't be "
            "reached, or it runs another version of llama.cpp"
        )


@_error
class InterruptedTurnError(RunnerError):
    reason: str

    def __str__(self) -> str:
        return self.reason


@_error
class UnreadError(RunnerError):
    """A generation was broken off that goes on when its reader has caught up."""

    def __str__(self) -> str:
        return "the answer isn't read as fast as it is written"


@_error
class ProtocolError(RunnerError):
    reason: str

    def __str__(self) -> str:
        return f"model runner broke the protocol: {self.reason}"


# --- the client ------------------------------------------------------------------------------------------------


class RequestError(SwellError):
    """The client must change something; the text says what."""


@_error
class InvalidRequestError(RequestError):
    reason: str

    def __str__(self) -> str:
        return self.reason


@_error
class NoSuchPathError(RequestError):
    def __str__(self) -> str:
        return "404 page not found"


@_error
class WrongMethodError(RequestError):
    def __str__(self) -> str:
        return "405 method not allowed"


@_error
class BodyTooLargeError(RequestError):
    limit_bytes: int

    def __str__(self) -> str:
        return f"the body of the request is longer than {self.limit_bytes} bytes; SWELL_BODY_LIMIT sets the limit"


@_error
class InvalidOptionError(RequestError):
    name: str
    expected: str

    def __str__(self) -> str:
        return f'option "{self.name}" must be of type {self.expected}'


@_error
class InvalidFormatError(RequestError):
    format: str

    def __str__(self) -> str:
        return f'invalid format: "{self.format}"; expected "json" or a valid JSON Schema object'


@_error
class InvalidTemplateError(RequestError):
    reason: str

    def __str__(self) -> str:
        return f"template error: {self.reason}"


@_error
class ServerBusyError(RequestError):
    def __str__(self) -> str:
        return "server busy, please try again.  maximum pending requests exceeded"


@_error
class ServerStoppingError(RequestError):
    def __str__(self) -> str:
        return "the server is stopping; send the request again when it is back"


@_error
class ModelNotFoundError(RequestError):
    name: str

    def __str__(self) -> str:
        return f"model '{self.name}' not found"


@_error
class ModelNotPulledError(ModelNotFoundError):
    def __str__(self) -> str:
        return f'model "{self.name}" not found, try pulling it first'


@_error
class UnsupportedError(RequestError):
    """`subject` (a model's name, or "swell") can't do `what`."""

    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject} does not support {self.what}"


@_error
class NoEmbeddingsError(RequestError):
    subject: str

    def __str__(self) -> str:
        return f"{self.subject} does not support embeddings"


class ContextOverflowError(RequestError):
    """There is more to read than the window holds. Clients shorten their conversation and try again."""


@_error
class PromptTooLongError(ContextOverflowError):
    """The window also has to hold one generated token."""

    prompt_tokens: int
    window_tokens: int

    def __str__(self) -> str:
        return (
            f"the request exceeds the available context size: the prompt is {self.prompt_tokens} tokens long and the "
            f"context window holds {self.window_tokens}; shorten it or raise num_ctx (exceed_context_size_error)"
        )


@_error
class UnshiftablePromptError(PromptTooLongError):
    def __str__(self) -> str:
        return (
            "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust "
            "the context length in settings, or use a model with a longer context length "
            f"({self.prompt_tokens} tokens exceed {self.window_tokens})"
        )


@_error
class InputTooLongError(ContextOverflowError):
    def __str__(self) -> str:
        return "the input length exceeds the context length"


@_error
class LegacyInputTooLongError(InputTooLongError):
    pass


@_error
class UncuttableInputError(InputTooLongError):
    def __str__(self) -> str:
        return "input after truncation exceeds maximum context length"


def to_data(error: BaseException) -> ErrorData:
    """`error` as plain data; one from outside the tree becomes an `UnexpectedError` with its type and text."""
    if isinstance(error, SwellError) and dataclasses.is_dataclass(error):
        return ErrorData(type(error).__name__, dataclasses.asdict(error))
    return ErrorData(UnexpectedError.__name__, {"reason": f"{type(error).__name__}: {error}"})


def from_data(kind: str, fields: Mapping[str, Any]) -> SwellError:
    """The error that `to_data` described; an unknown kind becomes an `UnexpectedError`."""
    cls = SwellError.kinds.get(kind)
    if cls is None:
        return UnexpectedError(f"{kind}: {dict(fields)}")
    return cls(**fields)
