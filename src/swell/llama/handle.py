"""Ownership of a C object."""

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class Handle:
    """Owns one C pointer and frees it exactly once: by `close`, by leaving a `with` block, or when collected."""

    def __init__(self, pointer: Any, free: Callable[[Any], None]) -> None:
        self._pointer = pointer
        self._finalizer = weakref.finalize(self, free, pointer)

    @property
    def pointer(self) -> Any:
        """The C pointer; using it after `close` is a bug and raises ValueError instead of crashing the process."""
        if not self._finalizer.alive:
            raise ValueError(f"{type(self).__name__} is closed")
        return self._pointer

    def close(self) -> None:
        """Free the object; further calls do nothing."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
