"""What the texts of environment variables mean. Every parser raises ValueError for a text that it can't take."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from swell.cache import CacheType, FlashAttention, StoreKind
from swell.durations import FOREVER_S, LONGEST_S, keep_alive_s, parse_duration_s
from swell.memory.budget import Budget, parse_budget
from swell.template_preference import TemplatePreference

TRACE = 5
"""Log level below DEBUG, for `OLLAMA_DEBUG=2`: llama.cpp's own messages included."""
WORKERS_MAX = 16  # as many as llama.cpp takes
INT32_MAX = 2**31 - 1
BODY_MAX_BYTES = 64 << 20  # what goes to a runner has to fit a frame of the protocol


def parse_bool(text: str) -> bool:
    """Go's booleans; any other text that isn't empty is true, as in Ollama."""
    return text not in ("0", "f", "F", "false", "False", "FALSE")


def parse_whole(least: int, most: int) -> Callable[[str], int]:
    """A parser for integers in this range; it raises ValueError for anything else."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text) or not least <= int(text) <= most:
            raise ValueError(f"not a whole number from {least} to {most}")
        return int(text)

    return parse


def parse_seconds(text: str) -> float:
    """A Go duration or a whole number of seconds, not longer than Go's durations can be."""
    seconds = float(text) if text.lstrip("+-").isdigit() else parse_duration_s(text)
    return min(seconds, LONGEST_S)


def parse_keep_alive(text: str) -> float:
    """A Go duration or a whole number of seconds; negative is forever."""
    return keep_alive_s(float(text) if text.lstrip("+-").isdigit() else text)


def parse_initial_tokens(text: str) -> int | None:
    """A whole number of tokens, at least one; None for `auto`. Raises ValueError for anything else."""
    return None if text == "auto" else parse_whole(1, INT32_MAX)(text)


def parse_timeout(text: str) -> float:
    """A Go duration or a whole number of seconds; zero or less is no limit at all."""
    seconds = parse_seconds(text)
    return seconds if seconds > 0 else FOREVER_S


def parse_wait(text: str) -> float:
    """A Go duration or a whole number of seconds; zero or less means not to wait."""
    return max(0.0, parse_seconds(text))


def parse_patience(text: str) -> float:
    """As `parse_timeout`, but at least a tenth of a second: what waits for so long looks several times meanwhile."""
    return max(0.1, parse_timeout(text))


def parse_log_level(text: str) -> int:
    """Python's log level for `OLLAMA_DEBUG`: 2 is trace, 1 or true debug, anything false info."""
    if text == "2":
        return TRACE
    return logging.DEBUG if parse_bool(text) else logging.INFO


def parse_list(text: str) -> tuple[str, ...]:
    """A list separated by commas; empty items are dropped."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


def parse_workers(text: str) -> tuple[str, ...]:
    """Addresses of workers. Raises ValueError for one that isn't `host:port`, and for more than llama.cpp takes."""
    addresses = parse_list(text)
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or ":" in host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise ValueError(f'"{address}" is not host:port')
    if len(addresses) > WORKERS_MAX:
        raise ValueError(f"more than {WORKERS_MAX} workers")
    return addresses


def parse_folder(text: str) -> Path | None:
    """A folder, with `~` for that of the user; None for none."""
    return Path(os.path.expanduser(text)) if text else None


def parse_store(text: str) -> StoreKind | None:
    """A way to hold the cache; None for `auto`. Raises ValueError for anything else."""
    return None if text == "auto" else StoreKind(text)


def parse_cache_type(text: str) -> CacheType | None:
    """How K and V are stored; None for `auto`. Raises ValueError for anything else."""
    return None if text == "auto" else CacheType(text)


def parse_flash_attention(text: str) -> FlashAttention:
    """`auto`, or one of Go's booleans."""
    if text == "auto":
        return FlashAttention.AUTO
    return FlashAttention.ON if parse_bool(text) else FlashAttention.OFF


def parse_template_preference(text: str) -> TemplatePreference:
    """`auto`, or one of Go's booleans: whether templates in Go's language go before those of the weights."""
    if text == "auto":
        return TemplatePreference.AUTO
    return TemplatePreference.GO if parse_bool(text) else TemplatePreference.JINJA


def parse_optional_budget(text: str) -> Budget | None:
    """Bytes or a percentage of memory; None for no limit."""
    return parse_budget(text) if text else None


def parse_size(text: str) -> int:
    """A number of bytes as for a budget; raises ValueError for anything else."""
    budget = parse_budget(text)
    if budget.is_share:
        raise ValueError(f'"{text}" is not a number of bytes')
    return budget.limit_bytes(0)


def parse_body_limit(text: str) -> int:
    """A number of bytes as for a budget; raises ValueError for anything else, and for too many."""
    size = parse_size(text)
    if size > BODY_MAX_BYTES:
        raise ValueError(f'"{text}" is not a number of bytes up to {BODY_MAX_BYTES}')
    return size
