"""How many threads to compute with, from what was seen in the last moment. Pure: numbers in, numbers out.

Threads of one step wait for each other some 300 times per token, so one that has to share its processor holds up all of
them: on two cores beside one busy process, two threads generate 29 tokens/s and one thread 100 (alone: 154 and 99).
Reading prompts gains nothing by the second thread either (146 and 146 tokens/s; beside two busy processes 80 and 101),
so one number serves both.
"""

import dataclasses

LOOK_S = 0.1
"""How often to look. A look costs 0.1 ms."""

CONTENDED = 0.25
"""Part of the time for which a thread waited for a processor that is more than chance: 0.01 to 0.02 on a quiet machine,
0.45 beside one busy process on two cores."""
CONTENDED_S = 0.25
"""For how long that must be so before there are fewer threads: three looks, or one long step."""

IDLE = 0.75
"""Part of a processor that must be left over before there is another thread. A thread beside a neighbour that takes
just less than the rest waits for about that rest, which is below CONTENDED: so up and down can't alternate."""
IDLE_S = 1.0
"""For how long that must be so."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen while computing: for how long, with how many threads, how much of the time each of them waited for
    a processor (1 is always), and how many processors were idle on average.
    """

    elapsed_s: float
    threads: int
    waits: tuple[float, ...]
    idle: float


@dataclasses.dataclass(frozen=True)
class ThreadsLevel:
    """How many threads the machine has room for, and for how long it has looked like fewer, or like more."""

    threads: int
    contended_s: float = 0
    idle_s: float = 0


def adapt(level: ThreadsLevel, look: Look, allowed: int) -> ThreadsLevel:
    """The level after `look`; at least one and at most `allowed` threads."""
    is_contended = look.threads > 1 and max(look.waits, default=0) >= CONTENDED
    contended_s = level.contended_s + look.elapsed_s if is_contended else 0.0
    if contended_s >= CONTENDED_S:
        lost = max(1, round(sum(look.waits)))
        return ThreadsLevel(max(1, min(level.threads, look.threads, allowed) - lost))
    idle_s = level.idle_s + look.elapsed_s if look.idle >= IDLE else 0.0
    if level.threads < allowed and idle_s >= IDLE_S:
        return ThreadsLevel(min(allowed, level.threads + whole(look.idle)))
    return ThreadsLevel(min(level.threads, allowed), contended_s, idle_s)


def after_rest(level: ThreadsLevel, idle: float, allowed: int) -> ThreadsLevel:
    """The level for new work, after a rest in which `idle` processors were idle on average.

    It may rise at once, but doesn't fall: what was busy during the rest may have ended, and if not, the next looks
    tell.
    """
    return ThreadsLevel(max(1, min(allowed, max(level.threads, whole(idle)))))


def whole(idle: float) -> int:
    """How many more threads `idle` processors have room for."""
    return int(idle + (1 - IDLE))
