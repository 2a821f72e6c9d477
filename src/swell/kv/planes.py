"""The tensors of a reserved cache, and which of their bytes belong to which cells of which slot.

A tensor of shape [row, cells, slots] holds its cells in one of these ways, and memory can follow them accordingly:

- rows: one cell after the other. Cells from n on are one range of bytes.
- transposed (V without flash attention): one element of all cells, then the next. Cells from n on are a range in
  each of several hundred rows, and a single cell touches all of them, so memory follows more coarsely.
- ring: the cells of a sliding window or a chunk, fewer than the window of the slot. A position has no fixed place, so
  they can only be given back together, when the slot is empty.
- state: of a recurrent layer. It has one size whatever is stored, and llama.cpp alone knows whose it is: never given
  back.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from enum import Enum

from swell.llama.reservation import Reservation, TensorSpan
from swell.memory.resident import PAGE_BYTES, Pagemap

_RING_CELLS = 256  # llama.cpp pads rings to a multiple of this
_IS_KV = re.compile(r"cache_")
_IS_V = re.compile(r"cache_\w*v_l\d+$")


class Layout(Enum):
    ROWS = "rows"
    TRANSPOSED = "transposed"
    RING = "ring"
    STATE = "state"


@dataclasses.dataclass(frozen=True)
class Plane:
    """One tensor, of elements of ggml's `type`. `stream_bytes` is the part of one slot, in which `cells` cells fit."""

    reservation: Reservation
    layout: Layout
    is_value: bool
    type: int
    offset_bytes: int
    stream_bytes: int
    rows: int
    cells: int
    streams: int

    @property
    def cell_bytes(self) -> int:
        return self.stream_bytes // self.cells

    def give_back(self, slot: int, start: int, end: int) -> None:
        """Return the pages that hold nothing but cells `start` to `end` of `slot`.

        The page in which such a range begins also holds cells before it and stays. The one in which it ends may go if
        all of it is this slot's: what follows there was never written.
        """
        for begin, stop, limit in self._ranges(slot, start, end):
            first = -(-begin // PAGE_BYTES) * PAGE_BYTES
            last = min(-(-stop // PAGE_BYTES) * PAGE_BYTES, limit // PAGE_BYTES * PAGE_BYTES)
            if last > first:
                self.reservation.discard(first, last - first)

    def copy(self, source: int, target: int, cells: int) -> None:
        """Copy the first `cells` cells of one slot to another one. Only for rows, transposed or not."""
        runs = self.rows if self.layout is Layout.TRANSPOSED else 1
        run_bytes = self.stream_bytes // runs
        for run in range(self.offset_bytes, self.offset_bytes + self.stream_bytes, run_bytes):
            begin, to = run + source * self.stream_bytes, run + target * self.stream_bytes
            self.reservation.copy(begin, to, run_bytes // self.cells * cells)

    def resident_bytes(self, pagemap: Pagemap, slot: int, cells: int) -> int:
        """Backed bytes of all pages that `cells` cells of `slot` touch; a state is shared among the slots evenly."""
        address = self.reservation.address + self.offset_bytes
        if self.layout is Layout.STATE:
            return pagemap.resident_bytes(address, self.stream_bytes * self.streams) // self.streams
        is_whole = self.layout is not Layout.ROWS
        length = self.stream_bytes if is_whole else cells * self.cell_bytes
        return pagemap.resident_bytes(address + slot * self.stream_bytes, length) if length else 0

    def _ranges(self, slot: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Where cells `start` to `end` of `slot` are: (begin, stop, limit), offsets in the reservation.

        Up to `limit` there is nothing of another slot, nor of a cell before `start`.
        """
        base = self.offset_bytes + slot * self.stream_bytes
        stream_end = base + self.stream_bytes
        if self.layout is Layout.ROWS:
            yield base + start * self.cell_bytes, base + end * self.cell_bytes, stream_end
        elif self.layout is not Layout.STATE and start == 0:
            yield base, stream_end, stream_end
        elif self.layout is Layout.TRANSPOSED:
            row_bytes = self.stream_bytes // self.rows
            element_bytes = row_bytes // self.cells
            for begin in range(base, stream_end, row_bytes):
                yield begin + start * element_bytes, begin + end * element_bytes, begin + row_bytes


def find_planes(reservations: Sequence[Reservation], cells: int, slots: int, *, transposed: bool) -> list[Plane]:
    """The planes of a cache of `slots` streams of `cells` cells; `transposed` says how V is stored."""
    return [
        _plane(reservation, tensor, cells, slots, transposed)
        for reservation in reservations
        for tensor in reservation.tensors
        if _IS_KV.match(tensor.name)
    ]


def _plane(reservation: Reservation, tensor: TensorSpan, cells: int, slots: int, transposed: bool) -> Plane:
    rows, tensor_cells, streams = tensor.shape
    is_state = streams != slots or tensor_cells % _RING_CELLS
    is_value = _IS_V.match(tensor.name) is not None
    if is_state:
        layout, rows, tensor_cells = Layout.STATE, 1, 1
    elif tensor_cells != cells:
        layout = Layout.RING
    else:
        layout = Layout.TRANSPOSED if transposed and is_value else Layout.ROWS
    return Plane(
        reservation=reservation,
        layout=layout,
        is_value=is_value,
        type=tensor.type,
        offset_bytes=tensor.offset_bytes,
        stream_bytes=tensor.size_bytes // slots,
        rows=rows,
        cells=tensor_cells,
        streams=slots,
    )
