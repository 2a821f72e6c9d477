"""Errors of requests for a model that isn't there, or can't do what is asked."""

from swell.errors.base import error_dataclass
from swell.errors.requests import RequestError


@error_dataclass
class ModelNotFoundError(RequestError):
    name: str

    def __str__(self) -> str:
        return f"model '{self.name}' not found"


@error_dataclass
class ModelNotPulledError(ModelNotFoundError):
    def __str__(self) -> str:
        return f'model "{self.name}" not found, try pulling it first'


@error_dataclass
class NoSourceError(ModelNotFoundError):
    def __str__(self) -> str:
        return f'model "{self.name}" not found'


@error_dataclass
class ModelOnNoReplicaError(ModelNotFoundError):
    def __str__(self) -> str:
        return f"model '{self.name}' not found on any replica of the fleet; every node needs it in its own store"


@error_dataclass
class CloudDisabledError(RequestError):
    """What is asked for runs on other people's machines."""

    what: str

    def __str__(self) -> str:
        return f"ollama cloud is disabled: {self.what}"


@error_dataclass
class NotSignedInError(RequestError):
    def __str__(self) -> str:
        return "unauthorized"


@error_dataclass
class UnsupportedError(RequestError):
    """`subject` (a model's name, or "swell") can't do `what`."""

    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject} does not support {self.what}"


@error_dataclass
class NoEmbeddingsError(RequestError):
    subject: str

    def __str__(self) -> str:
        return f"{self.subject} does not support embeddings"
