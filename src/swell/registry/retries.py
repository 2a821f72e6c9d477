"""When a piece of a transfer that failed is tried again."""

import threading

from swell.errors import RegistryError, RegistryStatusError, RegistryUnreachableError
from swell.registry.messages import TransferLimits

_WORTHWHILE_BYTES = 1 << 20
"""A try that brought so much didn't fail for nothing: the count begins anew."""
_PASSING_STATUS = (401, 403, 408, 425, 429)
"""Refusals that may be over when the blob is asked for again: of addresses and tokens that are valid for minutes, and
of too many requests."""


class Retries:
    """Counts the tries of one piece, and waits between them."""

    def __init__(self, limits: TransferLimits, stopped: threading.Event) -> None:
        """The wait ends early when the transfer is stopped."""
        self._limits = limits
        self._stopped = stopped
        self._failures = 0

    def after(self, error: RegistryError, gained_bytes: int) -> None:
        """A try failed that brought so many bytes: wait before the next one. Raises `error` if there is to be none."""
        self._failures = 1 if gained_bytes >= _WORTHWHILE_BYTES else self._failures + 1
        if self._failures >= self._limits.tries or not _may_pass(error):
            raise error
        self._stopped.wait(self._limits.backoff_s * 2 ** (self._failures - 1))


def _may_pass(error: RegistryError) -> bool:
    if isinstance(error, RegistryStatusError):
        return error.status >= 500 or error.status in _PASSING_STATUS
    return isinstance(error, RegistryUnreachableError)
