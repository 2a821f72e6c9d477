"""Numbers and times worded for people, exactly as Ollama words them. Pure functions."""

import math
from datetime import datetime, timedelta

_SIZES = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3))
_COUNTS = (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3))
_FOREVER = timedelta(days=20 * 365)


def human_bytes(size_bytes: int) -> str:
    """`3.4 GB`, `2 GB`, `512 B`: decimal units; from ten on, the fraction is cut off."""
    unit, scale = next(((unit, scale) for unit, scale in _SIZES if size_bytes >= scale), ("B", 1))
    value = size_bytes / scale
    return f"{int(value)} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"


def human_count(count: int) -> str:
    """`3.2B`, `134.5M`, `999`: how many parameters a model has."""
    unit, scale = next(((unit, scale) for unit, scale in _COUNTS if count >= scale), ("", 1))
    return f"{count / scale:.1f}{unit}" if unit else str(count)


def human_span(seconds: float) -> str:
    """`4 minutes`, `About an hour`, `2 weeks`: a length of time, coarsely."""
    minutes, hours = int(seconds / 60), math.floor(seconds / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    for limit_days, size_days, unit in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if days < limit_days:
            return f"{days // size_days} {unit}"
    return f"{days // 365} years"


def modified(when: datetime, now: datetime) -> str:
    """The MODIFIED column; Go's zero time, the year 1, is `Never`."""
    if when.year == 1:
        return "Never"
    seconds = (now - when).total_seconds()
    return f"{human_span(seconds)} ago" if seconds >= 0 else f"{human_span(-seconds)} from now"


def until(when: datetime, now: datetime) -> str:
    """The UNTIL column: when a model will be unloaded."""
    if when < now:
        return "Stopping..."
    if when - now > _FOREVER:
        return "Forever"
    return f"{human_span((when - now).total_seconds())} from now"


def processor(size_bytes: int, vram_bytes: int) -> str:
    """The PROCESSOR column: which part of a model is where."""
    if vram_bytes == 0:
        return "100% CPU"
    if size_bytes == 0 or vram_bytes > size_bytes:
        return "Unknown"
    if vram_bytes == size_bytes:
        return "100% GPU"
    cpu_percent = math.floor((size_bytes - vram_bytes) / size_bytes * 100 + 0.5)
    return f"{cpu_percent}%/{100 - cpu_percent}% CPU/GPU"
