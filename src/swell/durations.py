"""Go durations, the notation Ollama's clients and environment use for lengths of time ("5m", "1h30m", "-1s")."""

import math
import re

_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # micro sign
    "μs": 1e-6,  # Greek mu; Go accepts both
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]*)")

FOREVER_S = math.inf
"""What a negative keep-alive means."""
LONGEST_S = 292 * 365 * 86_400.0
"""More or less the longest of Go's durations; a keep-alive that is longer is forever."""
_TEXT_MAX = 100  # characters; more than any duration needs, and few enough to be repeated in an error


def parse_duration_s(text: str) -> float:
    """Seconds in a Go duration.

    Raises ValueError with Go's own wording, which is what clients are shown.
    """
    if len(text) > _TEXT_MAX:
        raise ValueError(f'time: invalid duration "{text[:_TEXT_MAX]}..."')
    body = text.lstrip("+-")
    sign = -1.0 if text.startswith("-") else 1.0
    if body == "0":
        return 0.0
    position, total_s = 0, 0.0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None:
            raise ValueError(f'time: invalid duration "{text}"')
        number, unit = part.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNIT_S:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total_s += float(number) * _UNIT_S[unit]
        position = part.end()
    if position == 0 or len(text) - len(body) > 1:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total_s


def keep_alive_s(value: float | str) -> float:
    """Seconds a model stays loaded after its last request: a number of seconds or a Go duration.

    Negative means forever (`FOREVER_S`), and so do 292 years; 0 unloads as soon as the model is idle.
    """
    seconds = parse_duration_s(value) if isinstance(value, str) else float(value)
    return seconds if 0 <= seconds < LONGEST_S else FOREVER_S


def format_duration(seconds: float) -> str:
    """A length of time as Go prints it: "1.234567891s", "12.3ms", "2m3.5s", "0s"."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    sign, nanoseconds = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000:
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    if not fraction:
        return str(whole)
    digits = len(str(size)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")
