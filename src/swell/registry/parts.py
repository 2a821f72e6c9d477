"""How a blob is cut into parts that are downloaded side by side. Without effects."""

from collections.abc import Sequence

import msgspec

from swell.registry.messages import TransferLimits


class BlobPart(msgspec.Struct, rename={"number": "N", "offset": "Offset", "size": "Size", "completed": "Completed"}):
    """A piece of a blob, and how much of it has come; as JSON it is what Ollama writes beside an unfinished download.
    `completed` grows while a thread downloads the part; all others only read it.
    """

    number: int
    offset: int
    size: int
    completed: int = 0

    @property
    def is_complete(self) -> bool:
        return self.completed >= self.size


def part_bytes(size: int, limits: TransferLimits) -> int:
    """How large the parts of a blob are."""
    return max(1, limits.part_min_bytes, min(limits.part_max_bytes, -(-size // limits.parts)))


def plan_parts(size: int, limits: TransferLimits) -> list[BlobPart]:
    """The parts of a blob of which nothing is there, in order."""
    each = part_bytes(size, limits)
    return [BlobPart(number, offset, min(each, size - offset)) for number, offset in enumerate(range(0, size, each))]


def are_parts_of(size: int, parts: Sequence[BlobPart]) -> bool:
    """Whether `parts`, in order, are a whole blob of that size, and none claims more than there is of it."""
    end = 0
    for number, part in enumerate(parts):
        if part.number != number or part.offset != end or not 0 <= part.completed <= part.size or not part.size:
            return False
        end += part.size
    return end == size


def completed_bytes(parts: Sequence[BlobPart]) -> int:
    """How much of the blob has come, wherever in it."""
    return sum(part.completed for part in parts)


def leading_bytes(parts: Sequence[BlobPart]) -> int:
    """How much of the blob is there from its beginning on without a gap."""
    end = 0
    for part in parts:
        end += part.completed
        if not part.is_complete:
            break
    return end
