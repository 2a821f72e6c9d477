"""Errors of the elastic cache."""

from swell.errors.base import SwellError, error_dataclass


class KvError(SwellError):
    """The elastic cache."""


@error_dataclass
class KvLayoutError(KvError):
    reason: str

    def __str__(self) -> str:
        return f"llama.cpp's internals differ from what the Reserved store knows: {self.reason}"


@error_dataclass
class KvGrowError(KvError):
    """A slot's grant can't be raised from `from_cells` to `to_cells`; the cells it has stay as they are."""

    from_cells: int
    to_cells: int
    max_cells: int
    needed_bytes: int
    free_bytes: int
    device: str = ""
    """Which one has no room for more; "" is host memory, or the budget."""

    @property
    def missing_bytes(self) -> int:
        return self.needed_bytes - self.free_bytes

    def __str__(self) -> str:
        where = f" on {self.device}" if self.device else ""
        return (
            f"insufficient memory while expanding the KV cache: cells {self.from_cells} → {self.to_cells}, "
            f"max {self.max_cells}, needs {self.needed_bytes / 1e6:.1f} MB, {self.free_bytes / 1e6:.1f} MB free{where}"
        )
