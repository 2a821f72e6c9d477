"""The state of a slot whose cells are all zero, as llama.cpp would write it: so that a slot can be given cells without
computing them.

llama.cpp takes and hands out only whole states. This one takes next to no memory, however many cells it has: what isn't
written of it are pages that the kernel shows as zero. The format is not a public interface. But llama.cpp compares all
numbers in it with its own and the sizes with what it reads, so that a state of another format is refused, and the tests
compare it byte by byte with one of llama.cpp's own.

In the state of a slot: a mark, the slot, then one cache after the other. A cache has the number of its streams, and for
each of them the number of its cells, which is 0 for those of other slots. After that of the slot come its cells:
position, number of slots that they belong to, for some models a point and a token, which slots; then whether values are
transposed, the number of layers, all keys and all values, each layer with its type and size.
"""

import array
import dataclasses
import mmap
import struct
from collections.abc import Sequence

from swell.kv.planes import Layout, Plane

Cache = Sequence[Plane]
"""The planes of one of a context's caches, in the order of its layers."""

_MARK = struct.Struct("=Ii")
_MAGIC = 0xAF143CD8
_LAYERS = struct.Struct("=II")  # whether values are transposed, how many layers
_ROWS = struct.Struct("=iQ")  # type, bytes of a row
_TRANSPOSED = struct.Struct("=iII")  # type, bytes of an element, rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlankStates:
    """Blank states of a context with `slots` slots. What of it can be cut is in `caches`, whose values are `transposed`
    or not. `planar`: positions of tokens are points in a plane.
    """

    caches: Sequence[Cache]
    slots: int
    transposed: bool
    planar: bool

    def state(self, slot: int, tokens: Sequence[int], uncuttable: mmap.mmap | None = None) -> mmap.mmap:
        """The state of `slot` with a cell for each of `tokens` in each cache.

        `uncuttable` is what `StatePart.UNCUTTABLE` has saved of some slot, for what else there is. Raises OSError.
        """
        rest_bytes = len(uncuttable) - _MARK.size if uncuttable else 0
        size_bytes = _MARK.size + sum(self._size(cache, len(tokens)) for cache in self.caches) + rest_bytes
        state = mmap.mmap(-1, size_bytes)
        offset = _put(state, 0, _MARK.pack(_MAGIC, slot))
        for cache in self.caches:
            offset = self._put_cache(state, offset, slot, tokens, cache)
        if uncuttable:
            with memoryview(uncuttable) as whole, whole[_MARK.size :] as rest:
                state[offset:] = rest
        return state

    def _put_cache(self, state: mmap.mmap, offset: int, slot: int, tokens: Sequence[int], cache: Cache) -> int:
        keys = [plane for plane in cache if not plane.is_value]
        values = [plane for plane in cache if plane.is_value]
        counts = array.array("I", [self.slots, *[0] * slot, len(tokens)])
        offset = _put(state, offset, counts.tobytes() + self._cells(slot, tokens))
        offset = _put(state, offset, _LAYERS.pack(self.transposed, len(keys)))
        for plane in (*keys, *values):
            offset = _put(state, offset, _header(plane)) + plane.cell_bytes * len(tokens)
        return offset + 4 * (self.slots - slot - 1)  # other streams have no cells

    def _cells(self, slot: int, tokens: Sequence[int]) -> bytes:
        """The numbers of a cache's cells."""
        positions = array.array("i", range(len(tokens)))
        ones, slots = (array.array("i", [number]) * len(tokens) for number in (1, slot))
        points = [positions, positions, array.array("i", tokens)] if self.planar else []
        columns = [positions, ones, *points, slots]
        numbers = array.array("i", bytes(4 * len(columns) * len(tokens)))
        for place, column in enumerate(columns):
            numbers[place :: len(columns)] = column
        return numbers.tobytes()

    def _size(self, cache: Cache, cells: int) -> int:
        numbers = 4 * (1 + self.slots + cells * (6 if self.planar else 3)) + _LAYERS.size
        return numbers + sum(len(_header(plane)) + plane.cell_bytes * cells for plane in cache)


def _put(state: mmap.mmap, offset: int, data: bytes) -> int:
    state[offset : offset + len(data)] = data
    return offset + len(data)


def _header(plane: Plane) -> bytes:
    if plane.layout is Layout.TRANSPOSED:
        return _TRANSPOSED.pack(plane.type, plane.cell_bytes // plane.rows, plane.rows)
    return _ROWS.pack(plane.type, plane.cell_bytes)
