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

Each branch has a module of its own; all are imported from here. `to_data` and `from_data` take errors across a process
boundary.
"""

from swell.errors.base import ErrorData, SwellError, UnexpectedError, from_data, to_data
from swell.errors.context import (
    ContextOverflowError,
    InputTooLongError,
    LegacyInputTooLongError,
    PromptTooLongError,
    UncuttableInputError,
    UnshiftablePromptError,
)
from swell.errors.kv import KvError, KvGrowError, KvLayoutError
from swell.errors.llama import (
    AbortedError,
    ContextError,
    DamagedModelError,
    DecodeError,
    EmbeddingValueError,
    LibraryError,
    LlamaError,
    ModelLoadError,
    NoRoomError,
    StateError,
    TokenizeError,
)
from swell.errors.models import ModelNotFoundError, ModelNotPulledError, NoEmbeddingsError, UnsupportedError
from swell.errors.requests import (
    BodyTooLargeError,
    InvalidFormatError,
    InvalidOptionError,
    InvalidRequestError,
    InvalidTemplateError,
    NoSuchPathError,
    RequestError,
    ServerBusyError,
    ServerStoppingError,
    WrongMethodError,
)
from swell.errors.runners import (
    DevicesFullError,
    InterruptedTurnError,
    LoadCrashedError,
    LoadDiedError,
    LoadTimeoutError,
    ProtocolError,
    RunnerError,
    RunnerLostError,
    RunnerStartError,
    UnreadError,
    WorkerLostError,
)

# fmt: off
__all__ = [
    "AbortedError", "BodyTooLargeError", "ContextError", "ContextOverflowError", "DamagedModelError", "DecodeError",
    "DevicesFullError", "EmbeddingValueError", "ErrorData", "InputTooLongError", "InterruptedTurnError",
    "InvalidFormatError", "InvalidOptionError", "InvalidRequestError", "InvalidTemplateError", "KvError",
    "KvGrowError", "KvLayoutError", "LegacyInputTooLongError", "LibraryError", "LlamaError", "LoadCrashedError",
    "LoadDiedError", "LoadTimeoutError", "ModelLoadError", "ModelNotFoundError", "ModelNotPulledError",
    "NoEmbeddingsError", "NoRoomError", "NoSuchPathError", "PromptTooLongError", "ProtocolError", "RequestError",
    "RunnerError", "RunnerLostError", "RunnerStartError", "ServerBusyError", "ServerStoppingError", "StateError",
    "SwellError", "TokenizeError", "UncuttableInputError", "UnexpectedError", "UnreadError",
    "UnshiftablePromptError", "UnsupportedError", "WorkerLostError", "WrongMethodError", "from_data", "to_data",
]
# fmt: on
