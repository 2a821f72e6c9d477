"""Slots in a file: their tokens, cells and checkpoints, with which another runner goes on.

A line that says what is there, the states in that order, and a checksum of all of it. Other code of the same library
reads it: nobody else should rely on it.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from swell.kv.base import KvStore
from swell.llama.context import StatePart
from swell.runner.slots import Slot

_CHECK = struct.Struct("=I")
_HEADER_MAX = 1 << 24
"""Bytes of a header. Two million tokens fit."""


class SavedSlot(msgspec.Struct, frozen=True):
    """The tokens of a slot, the length of its state, and of each checkpoint the number of tokens and the length.

    The states follow the header, each one's checkpoints after it.
    """

    tokens: list[int]
    state_bytes: int
    checkpoints: list[tuple[int, int]] = []


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of the file. A runner of another `kind` can't use it."""

    kind: str
    slots: list[SavedSlot]


class SlotContent(NamedTuple):
    """A saved slot with its cells and the states of its checkpoints."""

    slot: SavedSlot
    cells: memoryview
    checkpoints: list[memoryview]


def write_slots(file: int, kind: str, store: KvStore, slots: Sequence[Slot]) -> None:
    """Write the cells of `slots` to the open `file`, which is empty. Raises OSError and StateError.

    llama.cpp writes into the file's pages, so that they are nowhere in memory twice. The room on the disk is taken
    before, since the kernel would end the process that writes to a page for which there is none.
    """
    saved = [
        SavedSlot(
            tokens=slot.tokens[: slot.stored],
            state_bytes=store.context.state_bytes(slot.index),
            checkpoints=[(one.tokens, one.size_bytes) for one in slot.cells.checkpoints],
        )
        for slot in slots
    ]
    header = msgspec.json.encode(Header(kind=kind, slots=saved)) + b"\n"
    size = len(header) + sum(map(_length, saved)) + _CHECK.size
    os.posix_fallocate(file, 0, size)
    with mmap.mmap(file, size) as content:
        content[: len(header)] = header
        offset = len(header)
        for slot, one in zip(slots, saved, strict=True):
            with memoryview(content) as whole, whole[offset : offset + one.state_bytes] as cells:
                store.context.write_state(slot.index, cells, StatePart.WHOLE)
            offset += one.state_bytes
            for checkpoint in slot.cells.checkpoints:
                with memoryview(checkpoint.state) as state:
                    content[offset : offset + checkpoint.size_bytes] = state
                offset += checkpoint.size_bytes
        with memoryview(content) as whole, whole[:offset] as checked:
            content[offset:] = _CHECK.pack(zlib.crc32(checked))


def read_header(file: int) -> Header | None:
    """What is in the open `file`; None if it isn't such a file, or not all of it is there. Raises OSError."""
    with open(file, "rb", closefd=False) as reader:
        reader.seek(0)
        try:
            header = msgspec.json.decode(line := reader.readline(_HEADER_MAX), type=Header)
        except msgspec.DecodeError:
            return None
    size = len(line) + sum(map(_length, header.slots)) + _CHECK.size
    return header if os.fstat(file).st_size == size else None


def read_slots(file: int) -> Iterator[SlotContent]:
    """The slots in the open `file`; none if anything in it is damaged. Raises OSError."""
    header = read_header(file)
    if header is None:
        return
    content = memoryview(mmap.mmap(file, 0, access=mmap.ACCESS_COPY))  # llama.cpp's functions want it writable
    end = len(content) - _CHECK.size
    if _CHECK.unpack(content[end:]) != (zlib.crc32(content[:end]),):
        return
    offset = end - sum(map(_length, header.slots))
    for saved in header.slots:
        parts = []
        for size in (saved.state_bytes, *(size for _, size in saved.checkpoints)):
            parts.append(content[offset : offset + size])
            offset += size
        yield SlotContent(saved, parts[0], parts[1:])


def load_slot(store: KvStore, slot: Slot, content: SlotContent) -> bool:
    """Give the empty `slot` what was saved; False if that is of another kind. Raises KvGrowError."""
    saved = content.slot
    if not store.load(slot.index, content.cells, len(saved.tokens)):
        return False
    slot.tokens = list(saved.tokens)
    for (tokens, _), checkpoint in zip(saved.checkpoints, content.checkpoints, strict=True):
        store.load_checkpoint(slot.index, checkpoint, tokens)
    return True


def _length(saved: SavedSlot) -> int:
    return saved.state_bytes + sum(size for _, size in saved.checkpoints)
