"""Reserved: the whole window of every slot is address space; memory follows the cells that are written.

The context is created once at its full size and never moves, so growth is an admission decision: no copy, no pause,
no second buffer. Giving memory back is telling the kernel which pages are no longer wanted.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Sequence

from swell.cache import FlashAttention, StoreKind
from swell.errors import KvLayoutError, StateError
from swell.kv.admission import Admission
from swell.kv.base import KvBytes
from swell.kv.blank import BlankStates, Cache
from swell.kv.cells import ANYWHERE
from swell.kv.checkpoints import Checkpoint
from swell.kv.planes import Layout, find_planes
from swell.kv.policy import GrowthPolicy
from swell.kv.store import BookedStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.llama.reservation import reserving
from swell.memory.resident import Pagemap

log = logging.getLogger(__name__)

NEVER_FUSED = frozenset({"grok"})
"""Architectures for which llama.cpp turns flash attention off by itself."""


class ReservedStore(BookedStore):
    kind = StoreKind.RESERVED

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """Raises ContextError where the address space is refused, KvLayoutError where the cache isn't found in it.

        `swell.kv.selfcheck` must have approved of this library before.
        """
        super().__init__(model, shape, policy, admission)
        with reserving() as reservations:
            self._context = Context(model, shape)
        transposed = (
            shape.flash_attention is FlashAttention.OFF or model.metadata("general.architecture") in NEVER_FUSED
        )
        self._planes = find_planes(reservations, self._context.cells, shape.slots, transposed=transposed)
        if not self._planes:
            self._context.close()
            raise KvLayoutError("the KV cache was not allocated where it was expected")
        self._blank = BlankStates(
            caches=self._cuttable_caches(),
            slots=shape.slots,
            transposed=transposed,
            planar=model.has_planar_positions,
        )
        cache = {id(plane.reservation) for plane in self._planes}
        self._scratch = [region for region in reservations if id(region) not in cache]
        self._state_bytes = sum(plane.stream_bytes for plane in self._planes if plane.layout is Layout.STATE)
        self._cell_bytes = Counter[int]()  # by how many cells there are of it in a slot
        for plane in self._planes:
            if plane.layout is not Layout.STATE:
                self._cell_bytes[plane.cells] += plane.cell_bytes
        self._grant_initially()

    @property
    def context(self) -> Context:
        return self._context

    def bytes_of(self, cells: int) -> int:
        """A ring or a state never takes more than it has room for."""
        if cells == 0:
            return 0
        return self._state_bytes + sum(min(cells, most) * size for most, size in self._cell_bytes.items())

    def measure(self) -> KvBytes:
        with Pagemap() as pagemap:
            slots = tuple(
                sum(plane.resident_bytes(pagemap, slot, state.granted) for plane in self._planes)
                for slot, state in enumerate(self.cells)
            )
        return KvBytes(
            granted=self.booked_bytes,
            resident=sum(slots) + self.checkpoint_bytes,
            reserved=self._reserved_bytes,
            slots_resident=slots,
        )

    def estimate(self) -> KvBytes:
        slots = tuple(self.bytes_of(state.written) for state in self.cells)
        return KvBytes(
            granted=self.booked_bytes,
            resident=sum(slots) + self.checkpoint_bytes,
            reserved=self._reserved_bytes,
            slots_resident=slots,
        )

    @property
    def _reserved_bytes(self) -> int:
        return sum({id(plane.reservation): plane.reservation.size_bytes for plane in self._planes}.values())

    def copyable(self, source: int, keep: int) -> int:
        state = self.cells[source]
        if state.cut == ANYWHERE:
            return min(keep, state.stored)
        checkpoint = state.checkpoints.latest(min(keep, state.stored))
        return checkpoint.tokens if checkpoint else 0

    def _copy(self, source: int, target: int, tokens: Sequence[int]) -> int:
        """Copies just these cells, in memory of their own: the target is given blank ones first."""
        keep = self.copyable(source, len(tokens))
        self.prepare(target, keep)
        if self.copyable(source, keep) != keep:  # its checkpoint made way
            return 0
        state = self.cells[source]
        checkpoint = None if state.cut == ANYWHERE else state.checkpoints.latest(keep)
        if not self._set(target, tokens[:keep], checkpoint):
            return self.rewind(target, 0)
        for plane in itertools.chain(*self._blank.caches):
            plane.copy(source, target, keep)
        self.cells[target].stored = keep
        return keep

    def _set(self, slot: int, tokens: Sequence[int], checkpoint: Checkpoint | None) -> bool:
        """Give the empty `slot` blank cells, and what can't be cut of `checkpoint`; whether that was possible."""
        size_bytes = checkpoint.size_bytes if checkpoint else 0
        if self._books.claim(size_bytes) is not None:
            return False
        try:
            blank = self._blank.state(slot, tokens, checkpoint.state if checkpoint else None)
            self._context.restore_state(slot, blank)
        except (StateError, OSError) as error:
            log.warning("a beginning could not be copied, it is computed again: %s", error)
            return False
        finally:
            self._books.release(size_bytes)
        first, last = self._context.positions(slot)
        return first >= 0 and last == len(tokens) - 1

    def _cuttable_caches(self) -> list[Cache]:
        """The caches that can be cut at any token, each in a buffer of its own; the second may be what can't be cut."""
        buffers = itertools.groupby(self._planes, key=lambda plane: id(plane.reservation))
        caches = [list(planes) for _, planes in buffers]
        if self.cells[0].cut == ANYWHERE:
            return list(caches)
        first = caches[0]
        if first[0].layout is Layout.STATE:
            return []
        return [[]] if first[0].layout is Layout.RING else [first]

    def _lower_grant(self, slot: int, cells: int) -> None:
        state = self.cells[slot]
        written, state.written = state.written, state.stored
        super()._lower_grant(slot, cells)  # first: what the books say is in use must be
        if written > state.stored:
            for plane in self._planes:
                plane.give_back(slot, state.stored, written)

    def _scratch_bytes(self) -> int:
        """Compute buffers are reservations, too: backed by the first large batches."""
        with Pagemap() as pagemap:
            return sum(
                region.size_bytes - pagemap.resident_bytes(region.address, region.size_bytes)
                for region in self._scratch
            )
