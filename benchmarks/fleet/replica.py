"""A replica as a machine with one model behaves: slots that keep conversations, a window memory, and steps that read a
batch of prompts and write a token of each answer. Its time is the simulation's.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from benchmarks.fleet.traffic import Ask

from swell.fleet.routing import ModelView, ReplicaView, hit_tokens
from swell.protocol.prefixes import BLOCK_TOKENS

MODEL = "model"
SLOTS = 16
MEMORY_TOKENS = 32_768
"""Of all slots together."""
BATCH_TOKENS = 512
STEP_S, READ_S, WRITE_S = 0.02, 0.0004, 0.001
"""A step by itself (a model's weights are read once), and for each token that is read or written in it."""
COPY_TOKENS_MIN = 64
TOKEN_BYTES = 1
"""Memory is counted in tokens here."""


@dataclass(eq=False)
class SimulatedSlot:
    """The tokens of a conversation that are stored, and what is going on in it."""

    blocks: list[int] = field(default_factory=list)
    tokens: int = 0
    used_s: float = 0.0
    ask: Ask | None = None
    unread: int = 0
    unwritten: int = 0


@dataclass(frozen=True)
class FirstToken:
    """What is measured of a turn: when its first token came after it was sent, of how many tokens, of which cached."""

    at_s: float
    after_s: float
    turn: int
    prompt_tokens: int
    cached_tokens: int


class SimulatedReplica:
    """Given turns, and stepped by who holds the clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.slots = [SimulatedSlot() for _ in range(SLOTS)]
        self.waiting = deque[Ask]()
        self.is_stepping = False
        self._cached: dict[SimulatedSlot, int] = {}
        self._prefixes: Collection[int] | None = None

    @property
    def busy(self) -> int:
        """Turns in slots, and those that wait for one."""
        return sum(slot.ask is not None for slot in self.slots) + len(self.waiting)

    def view(self) -> ReplicaView:
        """What the replica reports."""
        if self._prefixes is None:
            self._prefixes = {block for slot in self.slots for block in slot.blocks}
        idle = [slot.tokens for slot in self.slots if slot.ask is None]
        held = sum(slot.tokens + slot.unwritten for slot in self.slots if slot.ask is not None)
        model = ModelView(slots=SLOTS, busy=self.busy, prefixes=self._prefixes, kept_tokens=min(idle, default=0))
        free = MEMORY_TOKENS - held
        return ReplicaView(name=self.name, free_bytes=free, load_free_bytes=free, models={MODEL: model})

    def step(self, now_s: float) -> tuple[float, list[FirstToken], list[Ask]]:
        """Compute a batch from now on: when it is done, whose first tokens it gave, and which answers are complete."""
        self._admit(now_s)
        readers = [slot for slot in self.slots if slot.unread]
        writers = [slot for slot in self.slots if slot.ask is not None and not slot.unread]
        share = BATCH_TOKENS // max(1, len(readers))
        reads = [min(slot.unread, share) for slot in readers]
        end_s = now_s + STEP_S + READ_S * sum(reads) + WRITE_S * len(writers)
        firsts: list[FirstToken] = []
        for slot, count in zip(readers, reads, strict=True):
            slot.unread -= count
            if not slot.unread and slot.ask is not None:
                writers.append(slot)  # the last of a prompt gives the first token
                firsts.append(self._first(slot, slot.ask, end_s))
        done = [ask for slot in writers if (ask := self._write(slot, end_s)) is not None]
        return end_s, firsts, done

    def _first(self, slot: SimulatedSlot, ask: Ask, now_s: float) -> FirstToken:
        return FirstToken(now_s, now_s - ask.at_s, ask.talk.turns_left, ask.talk.tokens, self._cached.pop(slot))

    def _write(self, slot: SimulatedSlot, now_s: float) -> Ask | None:
        slot.unwritten -= 1
        slot.tokens += 1
        if slot.unwritten > 0:
            return None
        ask, slot.ask, slot.used_s = slot.ask, None, now_s
        assert ask is not None
        return ask

    def stored(self, ask: Ask) -> None:
        """An answer's tokens belong to its conversation by now: so do the slot's blocks."""
        for slot in self.slots:
            if (
                slot.ask is None
                and slot.blocks == ask.talk.blocks[: len(slot.blocks)]
                and slot.tokens == ask.talk.tokens
            ):
                slot.blocks = list(ask.talk.blocks)
        self._prefixes = None

    # --- slots ---------------------------------------------------------------------------------------------------

    def _admit(self, now_s: float) -> None:
        while self.waiting and self._has_room(self.waiting[0]):
            ask = self.waiting.popleft()
            slot, cached = self._choose(ask)
            self._cached[slot] = cached
            slot.ask, slot.unread, slot.unwritten = ask, ask.talk.tokens - cached, ask.answer_tokens
            slot.blocks, slot.tokens, slot.used_s = list(ask.talk.blocks), ask.talk.tokens, now_s
            self._evict()
            self._prefixes = None

    def _has_room(self, ask: Ask) -> bool:
        held = sum(slot.tokens + slot.unwritten for slot in self.slots if slot.ask is not None)
        is_alone = held == 0
        fits = held + ask.talk.tokens + ask.answer_tokens <= MEMORY_TOKENS
        return any(slot.ask is None for slot in self.slots) and (fits or is_alone)

    def _choose(self, ask: Ask) -> tuple[SimulatedSlot, int]:
        """As a runner does: go on in the slot that has the conversation, else begin in the one that is least lost, with
        what some slot has of its beginning.
        """
        idle = [slot for slot in self.slots if slot.ask is None]
        shared = {slot: min(hit_tokens(ask.talk.blocks, set(slot.blocks)), ask.talk.tokens - 1) for slot in self.slots}
        best = max(idle, key=lambda slot: shared[slot])
        if shared[best] and best.tokens - shared[best] < COPY_TOKENS_MIN + BLOCK_TOKENS:
            return best, shared[best]
        copied = max(shared.values())
        return min(idle, key=lambda slot: (slot.tokens, slot.used_s)), copied if copied >= COPY_TOKENS_MIN else 0

    def _evict(self) -> None:
        """Give up the conversations used longest ago until all fits."""
        held = sum(slot.tokens + slot.unwritten for slot in self.slots)
        for slot in sorted((slot for slot in self.slots if slot.ask is None), key=lambda slot: slot.used_s):
            if held <= MEMORY_TOKENS:
                break
            held -= slot.tokens
            slot.blocks, slot.tokens = [], 0
