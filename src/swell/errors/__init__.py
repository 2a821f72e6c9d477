"""Every error Swell raises, as one tree.

SwellError
├── LlamaError                 llama.cpp refused something
│   ├── LibraryError           the library or a symbol in it can't be used
│   ├── DeviceLimitError       the limit of a device can't be kept
│   ├── ModelLoadError         the weights can't be loaded
│   │   └── DamagedModelError  their file isn't a sound GGUF
│   ├── ContextError           a context can't be created
│   ├── TokenizeError          a text can't be turned into tokens
│   ├── StateError             a saved state can't be read or put back
│   ├── QuantizeError          weights can't be written in another type
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
├── StoreError                 a file of the store of models can't be read or written
│   └── DiskFullError          there is no room for what is pulled
├── SizeFileError              the file of turns' sizes can't be read or written
├── MissingLayersError         blobs of a model aren't there
├── RegistryError              pulling and pushing
│   ├── RegistryUnreachableError  no connection, or one that broke
│   ├── RegistryStatusError    the registry refuses
│   ├── NotInRegistryError     it has no such thing
│   ├── RegistryAnswerError    it gives what can't be used
│   ├── DownloadMismatchError  a blob isn't what the manifest promised
│   └── TransferLostError      the process of the transfer has ended
├── ModelfileError             a text is no Modelfile
│   ├── ModelfileLineError     because of one of its lines
│   └── NoModelError           because it names no model
├── InvalidParameterError      a parameter isn't known, or its value can't be read
└── RequestError               the client must change something
    ├── InvalidRequestError    the request makes no sense
    ├── NoSuchPathError        nothing is at its path
    ├── WrongMethodError       something is, but not for its method
    ├── BodyTooLargeError      its body is longer than is allowed
    ├── UnsupportedEncodingError  its body is compressed in a way that can't be read
    ├── InvalidOptionError     an option has the wrong type
    ├── InvalidFormatError     `format` is neither "json" nor a schema
    ├── InvalidDigestError     what names a blob isn't a digest
    ├── DigestMismatchError    a blob isn't what it was said to be
    ├── InsecureProtocolError  an http:// name without `insecure`
    ├── TensorModelError       the weights are no GGUF
    ├── GoTemplateError        a template in Go's language
    │   ├── InvalidTemplateError  can't be read
    │   └── TemplateRunError      can't be carried out
    ├── ServerBusyError        too many requests wait already
    │   └── NoReplicaError     a fleet has nobody who could answer
    ├── ServerStoppingError    there is no more time to answer
    ├── ModelNotFoundError     no such model
    │   ├── ModelNotPulledError  the same, as the endpoints for embeddings word it
    │   ├── NoSourceError        the same, as copying words it
    │   └── ModelOnNoReplicaError  only the front of a fleet has it
    ├── CloudDisabledError     Ollama's cloud would do what is asked
    ├── NotSignedInError       nobody can have an account there
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

from swell.errors.base import (
    ErrorData,
    SwellError,
    UnexpectedError,
    from_data,
    to_data,
)
from swell.errors.context import (
    ContextOverflowError,
    InputTooLongError,
    LegacyInputTooLongError,
    PromptTooLongError,
    UncuttableInputError,
    UnshiftablePromptError,
)
from swell.errors.kv import (
    KvError,
    KvGrowError,
    KvLayoutError,
)
from swell.errors.llama import (
    AbortedError,
    ContextError,
    DamagedModelError,
    DecodeError,
    DeviceLimitError,
    EmbeddingValueError,
    LibraryError,
    LlamaError,
    ModelLoadError,
    NoRoomError,
    QuantizeError,
    StateError,
    TokenizeError,
)
from swell.errors.modelfiles import (
    InvalidParameterError,
    ModelfileError,
    ModelfileLineError,
    NoModelError,
)
from swell.errors.models import (
    CloudDisabledError,
    ModelNotFoundError,
    ModelNotPulledError,
    ModelOnNoReplicaError,
    NoEmbeddingsError,
    NoSourceError,
    NotSignedInError,
    UnsupportedError,
)
from swell.errors.registry import (
    DiskFullError,
    DownloadMismatchError,
    InsecureProtocolError,
    NotInRegistryError,
    RegistryAnswerError,
    RegistryError,
    RegistryStatusError,
    RegistryUnreachableError,
    TensorModelError,
    TransferLostError,
)
from swell.errors.requests import (
    BodyTooLargeError,
    GoTemplateError,
    InvalidFormatError,
    InvalidOptionError,
    InvalidRequestError,
    InvalidTemplateError,
    NoReplicaError,
    NoSuchPathError,
    RequestError,
    ServerBusyError,
    ServerStoppingError,
    TemplateRunError,
    UnsupportedEncodingError,
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
from swell.errors.sizes import SizeFileError
from swell.errors.store import (
    DigestMismatchError,
    InvalidDigestError,
    MissingLayersError,
    StoreError,
)

# fmt: off
__all__ = [
    "AbortedError", "BodyTooLargeError", "CloudDisabledError", "ContextError", "ContextOverflowError",
    "DamagedModelError", "DecodeError", "DeviceLimitError", "DevicesFullError", "DigestMismatchError",
    "DiskFullError", "DownloadMismatchError", "EmbeddingValueError", "ErrorData", "GoTemplateError",
    "InputTooLongError", "InsecureProtocolError", "InterruptedTurnError", "InvalidDigestError",
    "InvalidFormatError", "InvalidOptionError", "InvalidParameterError", "InvalidRequestError",
    "InvalidTemplateError", "KvError", "KvGrowError", "KvLayoutError", "LegacyInputTooLongError", "LibraryError",
    "LlamaError", "LoadCrashedError", "LoadDiedError", "LoadTimeoutError", "MissingLayersError", "ModelLoadError",
    "ModelNotFoundError", "ModelNotPulledError", "ModelOnNoReplicaError", "ModelfileError", "ModelfileLineError",
    "NoEmbeddingsError", "NoModelError", "NoReplicaError", "NoRoomError", "NoSourceError", "NoSuchPathError",
    "NotInRegistryError", "NotSignedInError", "PromptTooLongError", "ProtocolError", "QuantizeError",
    "RegistryAnswerError", "RegistryError", "RegistryStatusError", "RegistryUnreachableError", "RequestError",
    "RunnerError", "RunnerLostError", "RunnerStartError", "ServerBusyError", "ServerStoppingError", "SizeFileError",
    "StateError", "StoreError", "SwellError", "TemplateRunError", "TensorModelError", "TokenizeError",
    "TransferLostError", "UncuttableInputError", "UnexpectedError", "UnreadError", "UnshiftablePromptError",
    "UnsupportedEncodingError", "UnsupportedError", "WorkerLostError", "WrongMethodError", "from_data", "to_data",
]
# fmt: on
