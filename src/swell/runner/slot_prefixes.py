"""What slots hold, for who chooses between several runners. Read from any thread, without waiting for the engine."""

from collections.abc import Sequence

from swell.protocol.messages import Prefixes
from swell.protocol.prefixes import BLOCK_TOKENS, block_hashes, pack_hashes
from swell.runner.slots import Slot, common_prefix


class SlotPrefixes:
    """Hashes the blocks of slots; those that haven't changed since the last time aren't hashed again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[list[int], list[int]]] = {}

    def read(self, request_id: int, slots: Sequence[Slot]) -> Prefixes:
        """What `slots` hold at this moment. One that changes meanwhile may be told wrongly, until the next time."""
        for slot in slots:
            tokens = slot.tokens[: slot.stored]
            before, hashes = self._known.get(slot.index, ([], []))
            unchanged = common_prefix(tokens, before) // BLOCK_TOKENS
            self._known[slot.index] = tokens, block_hashes(tokens, hashes[:unchanged])
        known = [self._known[slot.index] for slot in slots]
        return Prefixes(request_id, [len(tokens) for tokens, _ in known], [pack_hashes(hashes) for _, hashes in known])
