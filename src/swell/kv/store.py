"""What the stores have in common: cells granted by the policy and booked with admission."""

import contextlib
import logging
import mmap
import time
from collections.abc import Iterator, Mapping, Sequence

from swell.errors import StateError
from swell.kv.admission import NOWHERE, Admission
from swell.kv.base import KvBytes, KvStore
from swell.kv.books import Books, NoRoom
from swell.kv.cells import ANYWHERE, Cut
from swell.kv.checkpoints import Checkpoint
from swell.kv.policy import GrowthPolicy, initial_grant, least_grant, next_grant, settled_grant
from swell.llama.context import ContextShape, StatePart, WritableBuffer
from swell.llama.model import LlamaModel

log = logging.getLogger(__name__)


class BookedStore(KvStore):
    """A store only says what cells take (`bytes_of`), and how room is made (`_raise_grant`) and given back
    (`_lower_grant`), if that is more than an entry in the books.
    """

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        self.policy = policy
        self._books = Books(shape.slots, admission, _cut(model, shape))
        self.cells = self._books.cells

    @property
    def booked_bytes(self) -> int:
        return self._cells_bytes + self.checkpoint_bytes

    @property
    def checkpoint_bytes(self) -> int:
        return sum(state.checkpoints.size_bytes for state in self.cells)

    @property
    def _cells_bytes(self) -> int:
        """What of the booked bytes is for cells."""
        return sum(self.bytes_of(state.granted) for state in self.cells)

    def ensure(self, slot: int, cells: int) -> None:
        granted = self.cells[slot].granted
        if cells <= granted:
            return
        with self._changing_grant(slot):
            if self._raise_grant(slot, next_grant(granted, cells, self.policy)) is None:
                return
            refusal = self._raise_grant(slot, cells)  # without a block to spare it may still fit
        if refusal is not None:
            raise refusal.error(granted, cells, self.policy.max_cells)

    def prepare(self, slot: int, count: int) -> None:
        state = self.cells[slot]
        end = state.stored + count
        self.ensure(slot, end)
        state.written = max(state.written, end)

    def advance(self, slot: int, count: int) -> None:
        self.cells[slot].stored += count

    def rewind(self, slot: int, keep: int) -> int:
        is_left = keep > 0 and self.context.remove(slot, keep) and self._reaches_back(slot, keep)
        if not is_left:
            keep = self._go_back(slot, keep)
        with self._books.changing():
            self.cells[slot].stored = keep
            self._give_up(self.cells[slot].checkpoints.take_after(keep))
        return keep

    def _go_back(self, slot: int, keep: int) -> int:
        """Restore the last checkpoint at `keep` tokens or before; returns at how many, 0 where that isn't possible."""
        if checkpoint := self.cells[slot].checkpoints.latest(keep):
            try:
                self.context.restore_state(slot, checkpoint.state, StatePart.UNCUTTABLE)
                is_cut = self.context.remove(slot, checkpoint.tokens)
                first, last = self.context.positions(slot)
                if is_cut and first >= 0 and last == checkpoint.tokens - 1:
                    return checkpoint.tokens
            except StateError as error:
                log.warning("a checkpoint could not be restored, its tokens are computed again: %s", error)
        self.context.remove(slot, -1)
        return 0

    def save_checkpoint(self, slot: int, most: int) -> None:
        state, context = self.cells[slot], self.context
        if not state.stored or state.stored in state.checkpoints.tokens:
            return
        size_bytes = context.state_bytes(slot, StatePart.UNCUTTABLE)
        with self._books.changing():
            if self._books.claim(size_bytes) is not None:
                return
            try:
                saved = context.save_state(slot, StatePart.UNCUTTABLE)
                state.checkpoints.add(Checkpoint(state.stored, saved, size_bytes))
            except (StateError, OSError) as error:
                log.warning("a checkpoint could not be saved: %s", error)
                self._books.release(size_bytes)
            while len(state.checkpoints.tokens) > most:
                self._give_up(state.checkpoints.take_least())
            self._note()

    def load_checkpoint(self, slot: int, data: memoryview, tokens: int) -> None:
        with self._books.changing():
            if self._books.claim(len(data)) is not None:
                return
            try:
                state = mmap.mmap(-1, len(data))
                state[:] = data
                self.cells[slot].checkpoints.add(Checkpoint(tokens, state, len(data)))
            except OSError as error:
                log.warning("a checkpoint could not be loaded: %s", error)
                self._books.release(len(data))
            self._note()

    def drop_checkpoints(self) -> None:
        with self._books.changing():
            for state in self.cells:
                self._give_up(state.checkpoints.take_after(-1))

    def _give_up(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Give back the memory of some that were taken out: what the books say is in use first, as for cells."""
        if checkpoints:
            self._note()
            self._books.release(sum(one.size_bytes for one in checkpoints))
            for one in checkpoints:
                one.state.close()

    def _reaches_back(self, slot: int, keep: int) -> bool:
        """Whether all cells are there that a token at position `keep` attends to.

        A sliding window's cells are used again once they are out of the window. llama.cpp then still removes what
        comes after an earlier position, although what the window needs before it is gone.
        """
        first, last = self.context.positions(slot)
        window = self.context.model.window_tokens
        return last == keep - 1 and 0 <= first <= (max(0, keep - window) if window else last)

    def copyable(self, source: int, keep: int) -> int:
        """llama.cpp hands out and takes whole states only: to copy twice the cells is the most that pays."""
        state = self.cells[source]
        return min(keep, state.stored) if state.cut == ANYWHERE and state.stored <= 2 * keep else 0

    def copy(self, source: int, target: int, tokens: Sequence[int]) -> int:
        self.rewind(target, 0)
        granted = self.cells[target].granted
        with self._books.changing():
            kept = self._copy(source, target, tokens) if self.copyable(source, len(tokens)) else 0
            self._lower_grant(target, least_grant(self.cells[target].granted, max(kept, granted), self.policy))
        return kept

    def _copy(self, source: int, target: int, tokens: Sequence[int]) -> int:
        """Copy into an empty slot; returns how many cells are there. What was admitted for more is given back then."""
        count, state = self.cells[source].stored, self.cells[target]
        state_bytes = self.context.state_bytes(source)
        if (refusal := self._claim(state_bytes)) is not None:
            raise refusal.error(state.granted, count, self.policy.max_cells)
        try:
            self.prepare(target, count)
            self.context.restore_state(target, self.context.save_state(source))
            state.stored = count
        except (StateError, OSError) as error:
            log.warning("a beginning could not be copied, it is computed again: %s", error)
        finally:
            self._books.release(state_bytes)
        return self.rewind(target, min(len(tokens), state.stored))

    def load(self, slot: int, data: WritableBuffer, count: int) -> bool:
        state = self.cells[slot]
        if count > self.policy.max_cells:
            return False
        self.prepare(slot, count)
        try:
            self.context.restore_state(slot, data)
        except StateError as error:
            log.warning("saved cells could not be restored: %s", error)
            return False
        if self.context.positions(slot)[1] != count - 1:
            self.rewind(slot, 0)
            return False
        state.stored = count
        return True

    def settle(self, slot: int) -> None:
        state = self.cells[slot]
        state.peaks.append(state.stored)
        with self._changing_grant(slot):
            self._lower_grant(slot, settled_grant(state.granted, max(state.peaks), self.policy))

    def compact(self, needed: Sequence[int]) -> None:
        for slot, (state, cells) in enumerate(zip(self.cells, needed, strict=True)):
            with self._changing_grant(slot):
                self._lower_grant(slot, least_grant(state.granted, max(state.stored, cells), self.policy))

    def reclaimable_bytes(self, needed: Sequence[int]) -> int:
        kept = (least_grant(state.granted, cells, self.policy) for state, cells in zip(self.cells, needed, strict=True))
        return self.booked_bytes - sum(map(self.bytes_of, kept))

    def estimate(self) -> KvBytes:
        return self.measure()

    @property
    def changes(self) -> int:
        return self._books.changes

    def check_integrity(self) -> list[str]:
        return self._books.check_integrity(self._faults)

    def close(self) -> None:
        self.drop_checkpoints()
        self.context.close()
        self._books.clear()

    @contextlib.contextmanager
    def _changing_grant(self, slot: int) -> Iterator[None]:
        """The grant of `slot` changes within the block."""
        begun_ns = time.perf_counter_ns()
        with self._books.changing():
            yield
            self.cells[slot].changing_ns += time.perf_counter_ns() - begun_ns

    def _grant_initially(self) -> None:
        """Give every slot its first grant; where memory doesn't allow that, a slot starts with none and grows."""
        for slot in range(len(self.cells)):
            if self._raise_grant(slot, initial_grant(self.policy)) is not None:
                return

    def _raise_grant(self, slot: int, cells: int) -> NoRoom | None:
        """Raise the grant of `slot` to `cells`. Where that is refused, nothing has changed."""
        state = self.cells[slot]
        needed_bytes = self.bytes_of(cells) - self.bytes_of(state.granted)
        refusal = self._claim(needed_bytes, self._on_devices(needed_bytes))
        if refusal is None:
            state.granted = cells
        return refusal

    def _lower_grant(self, slot: int, cells: int) -> None:
        """Lower the grant of `slot` to `cells`; a store that can return memory does so here."""
        state = self.cells[slot]
        released_bytes = self.bytes_of(state.granted) - self.bytes_of(cells)
        state.granted = cells
        self._note()
        if released_bytes:
            self._books.release(released_bytes, self._on_devices(released_bytes))

    def _on_devices(self, cell_bytes: int) -> Mapping[str, int]:
        """What of `cell_bytes` of cells lies on which device."""
        return NOWHERE

    def _claim(self, needed_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> NoRoom | None:
        """Ask admission for `needed_bytes`, after it was told what is in use. Checkpoints, which lie in host memory,
        make way for cells.
        """
        self._note()
        refusal = self._books.claim(needed_bytes, device_bytes)
        while refusal is not None and not refusal.device and refusal.missing_bytes <= self.checkpoint_bytes:
            fullest = max(self.cells, key=lambda state: state.checkpoints.size_bytes)
            if not (least := fullest.checkpoints.take_least()):
                break
            self._give_up(least)
            refusal = self._books.claim(needed_bytes, device_bytes)
        return refusal

    def _note(self) -> None:
        """Tell admission what is in use.

        Done when grants change, not for every token: in between admission only takes less to be in use than is.
        """
        self._books.admission.note(self._backed_bytes() + self.checkpoint_bytes, self._scratch_bytes())

    def _backed_bytes(self) -> int:
        """What of the memory that is booked on the host the system has handed out already."""
        return sum(self.bytes_of(state.written) for state in self.cells)

    def _scratch_bytes(self) -> int:
        """Memory beside the cells that the context will still take."""
        return 0

    def _faults(self) -> list[str]:
        """Where the books don't agree at this moment. A store adds what must hold for it alone."""
        return self._books.faults(self.policy.max_cells, self.booked_bytes)


def _cut(model: LlamaModel, shape: ContextShape) -> Cut:
    if model.is_recurrent:
        return Cut(0, 0)
    if model.window_tokens:  # the ring of its cells has room for a batch besides
        return Cut(shape.batch_tokens, model.window_tokens + shape.batch_tokens)
    return ANYWHERE
