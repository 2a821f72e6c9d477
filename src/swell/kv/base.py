"""The contract of the stores of a KV cache. Nothing above this package knows which of them is used."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from swell.cache import StoreKind
from swell.kv.cells import SlotCells
from swell.kv.policy import GrowthPolicy
from swell.llama.context import Context, WritableBuffer


@dataclasses.dataclass(frozen=True, kw_only=True)
class KvBytes:
    """Bytes of KV memory: allowed to be used, really backed (in all and per slot), and set aside as address space.

    The first two include checkpoints, which belong to no slot's cells. `devices` is what of `resident` lies on which.
    """

    granted: int
    resident: int
    reserved: int
    slots_resident: tuple[int, ...]
    devices: Mapping[str, int] = dataclasses.field(default_factory=dict)


class KvStore(ABC):
    """Owns the context of a model and decides how many cells of each slot may be written.

    The way of a slot's cells: `prepare` grants memory for them, `context.decode` computes them, `advance` counts them
    as stored, `rewind` forgets them, `settle` and `compact` give memory back. One thread calls all of that; only
    `measure`, `estimate`, `check_integrity` and `reclaimable_bytes` may be called from others meanwhile.
    """

    kind: StoreKind
    policy: GrowthPolicy
    cells: Sequence[SlotCells]
    """The numbers of each slot, to be read: only the store changes them."""

    @property
    @abstractmethod
    def context(self) -> Context:
        """The context to decode with. A growth or a shrink may replace it, so ask again after each."""

    # --- grants and cells ---------------------------------------------------------------------------------------

    @abstractmethod
    def ensure(self, slot: int, cells: int) -> None:
        """Raise the grant of `slot` so that it holds `cells`; does nothing where it already does.

        What is stored stays as it is, but the context may be replaced. Raises KvGrowError where memory forbids the
        growth; the slot then keeps what it has. Raises ValueError for more than `policy.max_cells`.
        """

    @abstractmethod
    def prepare(self, slot: int, count: int) -> None:
        """Grant the next `count` cells of `slot`. Must be called before a batch with them is decoded.

        Stores nothing yet, but the context may be replaced. Raises as `ensure` does.
        """

    @abstractmethod
    def advance(self, slot: int, count: int) -> None:
        """Count `count` cells of `slot` as stored. They must have been prepared, and decoded without an error."""

    @abstractmethod
    def rewind(self, slot: int, keep: int) -> int:
        """Forget the cells of `slot` after the first `keep`: stored ones, and what an aborted batch has left.

        Returns how many are stored then: fewer where this kind of memory can't forget only some, and has to go back to
        a checkpoint, or to none. Gives back the memory of the checkpoints after that.
        """

    @abstractmethod
    def copyable(self, source: int, keep: int) -> int:
        """How many of the first `keep` cells of `source` can be copied: fewer where this kind of memory can't be cut
        there, and 0 where that takes more than it saves.
        """

    @abstractmethod
    def copy(self, source: int, target: int, tokens: Sequence[int]) -> int:
        """Replace what `target` stores by the cells of `tokens`, with which `source` begins: by those of them that are
        `copyable`. Returns how many are stored then, which is 0 where the copy failed.

        Raises KvGrowError where memory forbids it; `target` is empty then.
        """

    @abstractmethod
    def load(self, slot: int, data: WritableBuffer, count: int) -> bool:
        """Fill `slot`, which must be empty, with the `count` cells that a context of the same kind saved as `data`.

        False where `data` isn't that, or longer than a slot may be; the slot is empty then. Raises KvGrowError where
        memory forbids it.
        """

    # --- checkpoints ---------------------------------------------------------------------------------------------

    @abstractmethod
    def save_checkpoint(self, slot: int, most: int) -> None:
        """Save what can't be cut of `slot`, so that `rewind` can go back to the tokens that are stored now.

        Of more than `most`, the one that saves least is dropped. Nothing is saved where memory forbids it; memory that
        is asked for later is taken from checkpoints first.
        """

    @abstractmethod
    def load_checkpoint(self, slot: int, data: memoryview, tokens: int) -> None:
        """Add a checkpoint at `tokens` tokens, which was saved as `data`, unless memory forbids it.

        It must be after those that the slot has.
        """

    @abstractmethod
    def drop_checkpoints(self) -> None:
        """Give back the memory of all checkpoints."""

    @property
    @abstractmethod
    def checkpoint_bytes(self) -> int:
        """What of the booked bytes is for checkpoints."""

    # --- giving memory back -------------------------------------------------------------------------------------

    @abstractmethod
    def settle(self, slot: int) -> None:
        """Lower the grant of `slot` to what its latest requests needed. Must be called when a request has ended.

        What is stored stays, but the context may be replaced.
        """

    @abstractmethod
    def compact(self, needed: Sequence[int]) -> None:
        """Lower every grant to what is stored and to what is `needed`, in cells per slot.

        What is stored stays, but the context may be replaced.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the context and all memory of the cache. Nothing else may be called afterwards."""

    # --- numbers ------------------------------------------------------------------------------------------------

    @abstractmethod
    def bytes_of(self, cells: int) -> int:
        """How many bytes `cells` cells of one slot take."""

    @property
    @abstractmethod
    def booked_bytes(self) -> int:
        """How many bytes admission must have granted for the cache as it is."""

    @abstractmethod
    def reclaimable_bytes(self, needed: Sequence[int]) -> int:
        """How much is booked beyond what is `needed`, in cells per slot: at most so much could be given back."""

    @abstractmethod
    def measure(self) -> KvBytes:
        """The memory of the cache at this moment."""

    @abstractmethod
    def estimate(self) -> KvBytes:
        """The same by the books, at no cost: cells that were written count as backed."""

    @property
    @abstractmethod
    def changes(self) -> int:
        """Greater than before if grants may have changed since."""

    @abstractmethod
    def check_integrity(self) -> list[str]:
        """Recount the books; returns what is wrong in words for people, nothing where all is right.

        Nothing, too, while a grant is being changed, when the numbers need not agree. Takes 3 µs with four slots.
        """
