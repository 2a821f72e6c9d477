"""Models in several files: `name-00001-of-00003.gguf` and so on. llama.cpp, given the first, loads all of them."""

import dataclasses
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from swell.errors import DamagedModelError, ModelLoadError
from swell.models.gguf import ENTRIES_MAX, INT64_MAX, UINT16, GgufHeader

NUMBER_KEY, COUNT_KEY = "split.no", "split.count"
"""What the header of a part says: which one it is, from 0, and how many there are."""
_PART = re.compile(r"(?P<name>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf")


@dataclasses.dataclass(frozen=True)
class Part:
    """What a file's name says: the name of the model, which part of it this is, from 1, and how many there are."""

    name: str
    number: int
    count: int


def part_of(file_name: str) -> Part | None:
    """The part that the file is; None if it isn't named as a part of a model."""
    found = _PART.fullmatch(file_name)
    return Part(found["name"], int(found["number"]), int(found["count"])) if found else None


def parts_of(path: Path) -> Iterator[Path]:
    """The file at `path`, and, if it is named as the first part, the others; they needn't be there."""
    yield path
    if part := part_of(path.name):
        for number in range(2, part.count + 1):
            yield path.with_name(_name(part, number))


@dataclasses.dataclass(frozen=True)
class JoinedFiles:
    """All files of a model: how many bytes they have, when the latest was changed, and their headers as one."""

    size_bytes: int
    modified_ns: int
    header: GgufHeader


def join_files(path: Path, read: Callable[[Path], tuple[os.stat_result, GgufHeader]]) -> JoinedFiles:
    """The file at `path` and those that belong to it as one. `read` gives the status and the header of each.

    Raises what `read` does, and ModelLoadError for a part that isn't the first or is missing.
    """
    parts = [read(path)]
    try:
        for number, other in enumerate(_others(path, parts[0][1]), 1):
            parts.append(read(other))
            header = parts[-1][1]
            if header.value_types.get(NUMBER_KEY) != UINT16:  # llama.cpp would end the process
                raise DamagedModelError(str(other), f"{NUMBER_KEY} is no number of 16 bits")
            if (found := header.metadata[NUMBER_KEY]) != number:
                raise DamagedModelError(str(other), f"by its name it is part {number} from 0, by {NUMBER_KEY} {found}")
    except FileNotFoundError as error:
        raise ModelLoadError(str(path), f"a part of the model is missing: {error.filename}") from error
    headers = [header for _, header in parts]
    return JoinedFiles(
        size_bytes=sum(status.st_size for status, _ in parts),
        modified_ns=max(status.st_mtime_ns for status, _ in parts),
        header=_joined(path, headers) if len(headers) > 1 else headers[0],
    )


def _others(path: Path, header: GgufHeader) -> Iterator[Path]:
    """The files that llama.cpp loads beside the one at `path`; it goes by their names, too."""
    count = header.metadata.get(COUNT_KEY)
    if not isinstance(count, int) or count <= 1:
        return
    part = part_of(path.name)
    if part is None or part.count != count:
        raise ModelLoadError(str(path), f"this is one of {count} parts of a model, and isn't named as one")
    if part.number != 1:
        first = _name(part, 1)
        raise ModelLoadError(str(path), f"this is part {part.number} of {count} of a model; its first is {first}")
    if header.metadata.get(NUMBER_KEY) != 0:
        raise ModelLoadError(str(path), f"by its name this is the first of {count} parts, by {NUMBER_KEY} another one")
    yield from itertools.islice(parts_of(path), 1, None)


def _name(part: Part, number: int) -> str:
    return f"{part.name}-{number:05d}-of-{part.count:05d}.gguf"


def _joined(path: Path, headers: Sequence[GgufHeader]) -> GgufHeader:
    """The first one's metadata with the tensors of all. `header_bytes` is the sum, so that the rest is weights."""
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    parameter_count = sum(header.parameter_count for header in headers)
    if len(tensors) > ENTRIES_MAX or parameter_count > INT64_MAX:
        raise DamagedModelError(str(path), f"its {len(headers)} parts hold more than any model does")
    return dataclasses.replace(
        headers[0],
        tensors=tensors,
        tensor_bytes=tuple(size for header in headers for size in header.tensor_bytes),
        parameter_count=parameter_count,
        header_bytes=sum(header.header_bytes for header in headers),
        header_sha256=hashlib.sha256("".join(header.header_sha256 for header in headers).encode()).hexdigest(),
    )
