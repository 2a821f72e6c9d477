"""What every error of Swell is: a dataclass, which can be sent to another process.

What an error carries is data, and `__str__` is only its wording for people. Nothing recognises an error by its text.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

E = TypeVar("E", bound="SwellError")


class ErrorData(NamedTuple):
    """An error on its way to another process: the name of its class and the fields it was made with."""

    kind: str
    fields: dict[str, Any]


class SwellError(Exception):
    """Root of the tree. Pickling goes through `to_data`, too."""

    kinds: ClassVar[dict[str, type["SwellError"]]] = {}
    """All classes of errors that are imported, by name."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        SwellError.kinds[cls.__name__] = cls

    def __reduce__(self) -> tuple[Any, ...]:
        return from_data, to_data(self)


@dataclass_transform(eq_default=False)
def error_dataclass(cls: type[E]) -> type[E]:
    """Make `cls` a dataclass that still hashes and compares by identity, as exceptions must."""
    return dataclasses.dataclass(eq=False, repr=False)(cls)


@error_dataclass
class UnexpectedError(SwellError):
    """A bug: an error that no other class of the tree describes. `reason` is what is known of it."""

    reason: str

    def __str__(self) -> str:
        return self.reason


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
