"""The `options` of a request: Ollama's names, defaults and rules for types."""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from swell.errors import InvalidOptionError, InvalidRequestError

log = logging.getLogger(__name__)

_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1

THREADS_MAX = min(4 * (os.cpu_count() or 1), 512)
"""Hundreds of threads on two processors halt everything else on the machine (a load of 72 was seen), and a runner with
more than llama.cpp's GGML_MAX_N_THREADS, which is 512, crashes."""
STOPS_MAX = 64
STOP_LENGTH_MAX = 1000  # characters; each token of the answer is compared with all of them
_NAMES_SHOWN, _NAME_SHOWN = 10, 40  # of unknown options, and how many characters of each

# fmt: off
_RETIRED = frozenset((
    "numa", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock", "embedding_only", "tfs_z",
    "penalize_newline",
))
# fmt: on
"""Names that older clients still send. They have no meaning any more and are ignored without a warning."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may set. None is not set: the server chooses."""

    num_ctx: int | None = None
    num_keep: int = 4
    seed: int = -1
    num_predict: int = -1
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    stop: tuple[str, ...] = ()
    num_batch: int | None = None
    num_gpu: int = -1
    main_gpu: int | None = None
    use_mmap: bool | None = None
    num_thread: int = 0
    draft_num_predict: int = 4
    sched_spread: bool | None = None  # Swell's own: `OLLAMA_SCHED_SPREAD` for one model

    @property
    def threads(self) -> int | None:
        """How many threads should compute; None where nothing was asked for."""
        return min(self.num_thread, THREADS_MAX) if self.num_thread > 0 else None


def merge(*layers: Mapping[str, object]) -> Options:
    """One set of options from several; the first layer that has a key wins, null is the same as not having it.

    Unknown names are logged and ignored. Raises InvalidOptionError for a value of the wrong type, and
    InvalidRequestError for one that can't be.
    """
    values: dict[str, Any] = {}
    unknown: list[str] = []
    for layer in layers:
        for name, value in layer.items():
            if value is None or name in values or name in _RETIRED:
                continue
            convert = _CONVERSIONS.get(name)
            if convert is None:
                unknown.append(name)
                continue
            values[name] = convert(name, value)
    if unknown:
        more = f" and {len(unknown) - _NAMES_SHOWN} more" if len(unknown) > _NAMES_SHOWN else ""
        shown = ", ".join(repr(name[:_NAME_SHOWN]) for name in unknown[:_NAMES_SHOWN])
        log.warning("ignoring unknown options: %s%s", shown, more)
    return Options(**values)


def _integer(name: str, value: object) -> int:
    """Whole numbers; a fraction is cut off. Clamped to what llama.cpp's integers hold (a seed may be wider)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOptionError(name, "integer")
    most = _INT64_MAX if name == "seed" else _INT32_MAX
    return int(max(-most, min(most, value)))


def _mirostat(name: str, value: object) -> int:
    version = _integer(name, value)
    if version not in (0, 1, 2):
        raise InvalidRequestError(f'option "{name}" must be 0, 1 or 2')
    return version


def _float(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOptionError(name, "float32")
    try:
        return float(value)
    except OverflowError as error:  # an integer of more than 308 digits
        raise InvalidOptionError(name, "float32") from error


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidOptionError(name, "boolean")
    return value


def _strings(name: str, value: object) -> tuple[str, ...]:
    """Empty strings are dropped: they would match at once."""
    if not isinstance(value, list | tuple):
        raise InvalidOptionError(name, "array")
    if len(value) > STOPS_MAX:
        raise InvalidRequestError(f'option "{name}" has more than {STOPS_MAX} strings')
    if not all(isinstance(item, str) for item in value):
        raise InvalidOptionError(name, "an array of strings")
    if any(len(item) > STOP_LENGTH_MAX for item in value):
        raise InvalidRequestError(f'option "{name}" has a string of more than {STOP_LENGTH_MAX} characters')
    return tuple(item for item in value if item)


def _conversion(annotation: object) -> Callable[[str, object], object]:
    if annotation in (int, int | None):
        return _integer
    if annotation is float:
        return _float
    return _boolean if annotation == bool | None else _strings


_CONVERSIONS = {field.name: _conversion(field.type) for field in msgspec.structs.fields(Options)} | {
    "mirostat": _mirostat
}
