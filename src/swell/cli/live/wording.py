"""What happened, in words. Pure."""

from datetime import datetime

from swell.cli.human import human_bytes
from swell.cli.live.readings import Happening

_NOTICED_S = 0.001


def wording(happening: Happening) -> str:
    """What happened to a model; "" for what goes on all the time, and for what only later servers know."""
    match happening.event:
        case "load_started":
            return "is being loaded"
        case "load_ended":
            return _load(happening)
        case "model_unloaded":
            return f"unloaded: {happening.cause}" if happening.cause else "unloaded"
        case "window_grown":
            return f"slot {happening.slot} grew from {_tokens(happening)}{_stall(happening)}{_granted(happening)}"
        case "window_shrunk":
            cause = f": {happening.cause}" if happening.cause else ""
            return (
                f"slot {happening.slot} shrank from {_tokens(happening)}{_stall(happening)}{_granted(happening)}{cause}"
            )
        case "memory_reclaimed":
            return f"got memory from {happening.source}"
        case "recovery_started":
            return f"an answer is to go on by {happening.step}" + (f" after {happening.cause}" * bool(happening.cause))
        case "recovery_ended":
            return f"{happening.step}: {happening.outcome} after {happening.recovery_s:.1f} s"
        case _:
            return ""


def moment(at_s: float) -> str:
    """The time of day on this machine."""
    return datetime.fromtimestamp(at_s).strftime("%H:%M:%S")


def subject(happening: Happening) -> str:
    """To which model it happened; what is polled doesn't say so of everything."""
    return f"{happening.model}: " if happening.model else ""


def _load(happening: Happening) -> str:
    match happening.outcome:
        case "loaded":
            return f"loaded in {happening.load_s:.1f} s" if happening.load_s else "loaded"
        case "failed":
            return f"load failed: {happening.error}" if happening.error else "load failed"
        case outcome:
            return f"load {outcome}"


def _tokens(happening: Happening) -> str:
    return f"{happening.from_tokens} to {happening.to_tokens} tokens"


def _stall(happening: Happening) -> str:
    """How long nothing was computed for it, where somebody may have noticed that."""
    return f" in {happening.stall_s * 1000:.0f} ms" if happening.stall_s >= _NOTICED_S else ""


def _granted(happening: Happening) -> str:
    return f", {human_bytes(happening.granted_bytes)}" if happening.granted_bytes else ""
