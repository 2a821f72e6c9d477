"""The parameters that `/set parameter` knows: the names of the API's options, and what each takes."""

import math
import re
from collections.abc import Sequence

from swell.cli.errors import UsageError
from swell.cli.flags import BOOLEANS

Parameter = int | float | bool | list[str]

# fmt: off
_INTEGERS = frozenset((
    "num_ctx", "num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "mirostat", "num_batch", "num_gpu",
    "main_gpu", "num_thread", "draft_num_predict",
))
_NUMBERS = frozenset((
    "temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty",
    "mirostat_tau", "mirostat_eta",
))
# fmt: on
_BOOLEANS = frozenset(("use_mmap", "sched_spread"))
_LISTS = frozenset(("stop",))


def parse_parameter(name: str, values: Sequence[str]) -> Parameter:
    """The value of an option from the words that were typed, of which all but lists take the first.

    Raises UsageError in Ollama's words.
    """
    value, shown = values[0], f"[{' '.join(values)}]"
    if name in _LISTS:
        return list(values)
    if name in _INTEGERS:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise UsageError(f"invalid int value {shown}")
        return int(value)
    if name in _NUMBERS:
        return _number(value, shown)
    if name in _BOOLEANS:
        if value not in BOOLEANS:
            raise UsageError(f"invalid bool value {shown}")
        return BOOLEANS[value]
    raise UsageError(f"unknown parameter '{name}'")


def _number(value: str, shown: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise UsageError(f"invalid float value {shown}") from error
    if not math.isfinite(number):  # JSON has no words for it
        raise UsageError(f"invalid float value {shown}")
    return number
