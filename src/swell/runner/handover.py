"""Cells that one runner of a model saves for the next one, in a file in memory that the server made."""

import logging
from collections.abc import Sequence
from pathlib import Path

from swell.errors import KvGrowError
from swell.kv.base import KvStore
from swell.runner.slot_file import load_slot, read_header, read_slots, write_slots
from swell.runner.slots import Slot

log = logging.getLogger(__name__)


def save(path: Path, store: KvStore, slots: Sequence[Slot]) -> int:
    """Write the cells of all slots to the file at `path`; returns of how many tokens. Raises OSError, StateError."""
    kept = [slot for slot in slots if slot.stored]
    with path.open("r+b") as file:
        write_slots(file.fileno(), _kind(store), store, kept)
    return sum(slot.stored for slot in kept)


def restore(path: Path, store: KvStore, slots: Sequence[Slot]) -> int:
    """Load into `slots` what another runner saved, as far as there is memory for it; returns how many tokens.

    What is damaged or can't be verified is left out and logged: it is computed again when it is needed.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file.fileno())
            if header is None or header.kind != _kind(store):
                log.info("the last runner's cells are of another kind; they are computed again when they are needed")
                return 0
            for slot, content in zip(slots, read_slots(file.fileno()), strict=False):
                load_slot(store, slot, content)
    except (OSError, KvGrowError) as error:
        log.warning("not all cells of the last runner could be taken over: %s", error)
    return sum(slot.stored for slot in slots)


def _kind(store: KvStore) -> str:
    model = store.context.model
    return f"{model.vocabulary.size} tokens, {model.layers} layers, {store.bytes_of(1)} bytes per cell"
