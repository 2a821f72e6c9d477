"""Cells that one runner of a model saves for the next one, in a file in memory that the server made."""

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from swell.errors import KvGrowError
from swell.kv.base import KvStore
from swell.runner.slots import Slot

log = logging.getLogger(__name__)


class SavedSlot(msgspec.Struct, frozen=True):
    """The tokens of a slot, and the length of its state. The states follow the header, in the order of the slots."""

    tokens: list[int]
    state_bytes: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of the file. A runner whose model or cells differ from it can't use the file."""

    vocabulary_tokens: int
    layers: int
    cell_bytes: int
    slots: list[SavedSlot]


def save(path: Path, store: KvStore, slots: Sequence[Slot]) -> int:
    """Write the cells of all slots to the file at `path`; returns of how many tokens. Raises OSError."""
    kept = [slot for slot in slots if slot.stored]
    states = [store.context.save_state(slot.index) for slot in kept]
    header = Header(
        vocabulary_tokens=store.context.model.vocabulary.size,
        layers=store.context.model.layers,
        cell_bytes=store.bytes_of(1),
        slots=[SavedSlot(slot.tokens[: slot.stored], len(state)) for slot, state in zip(kept, states, strict=True)],
    )
    with path.open("r+b") as file:
        file.write(msgspec.json.encode(header) + b"\n")
        file.writelines(states)
    return sum(slot.stored for slot in kept)


def restore(path: Path, store: KvStore, slots: Sequence[Slot]) -> int:
    """Load into `slots` what another runner saved, as far as there is memory for it; returns how many tokens.

    What is damaged or can't be verified is left out and logged: it is computed again when it is needed.
    """
    try:
        with path.open("rb") as file:
            header = msgspec.json.decode(file.readline(), type=Header)
            if not _fits(header, store):
                log.info("the last runner's cells are of another kind; they are computed again when they are needed")
                return 0
            for slot, saved in zip(slots, header.slots, strict=False):
                state = bytearray(saved.state_bytes)
                if file.readinto(state) == len(state):
                    _restore(store, slot, saved, state)
    except (OSError, msgspec.DecodeError, KvGrowError) as error:
        log.warning("not all cells of the last runner could be taken over: %s", error)
    return sum(slot.stored for slot in slots)


def _fits(header: Header, store: KvStore) -> bool:
    model = store.context.model
    return (header.vocabulary_tokens, header.layers, header.cell_bytes) == (
        model.vocabulary.size,
        model.layers,
        store.bytes_of(1),
    )


def _restore(store: KvStore, slot: Slot, saved: SavedSlot, state: bytearray) -> None:
    if store.load(slot.index, state, len(saved.tokens)):
        slot.tokens = saved.tokens
