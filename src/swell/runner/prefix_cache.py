"""Conversations in files, which a slot or the whole model has given up, so that they need not be read again.

One file for each, in a folder that all models of all servers may share. Its name says which model, library and kind of
cache it is for. Whatever is wrong with a file, it is as if it weren't there.
"""

import contextlib
import dataclasses
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from swell.errors import StateError
from swell.kv.base import KvStore
from swell.kv.cells import ANYWHERE
from swell.runner.prefix_policy import covers, is_lost, usable
from swell.runner.slot_file import load_slot, read_header, read_slots, write_slots
from swell.runner.slots import Slot

log = logging.getLogger(__name__)

_SUFFIX, _PARTIAL = ".kv", ".partial"
_PARTIAL_MAX_S = 3600.0
"""Older ones were left by a process that has died: writing takes seconds."""
_FILES_MAX = 256
"""Of one model, the latest: so many are compared with each prompt."""


@dataclasses.dataclass(frozen=True)
class SavedPrefix:
    """A conversation in a file. `checkpoints` are the numbers of tokens at which it can be cut; None: at any."""

    path: Path
    tokens: list[int]
    checkpoints: list[int] | None


class FoundPrefix(NamedTuple):
    """A file, and how many tokens of a prompt needn't be computed with it."""

    saved: SavedPrefix
    tokens: int


class _PrefixFile(NamedTuple):
    used_s: float
    size_bytes: int
    path: Path


class PrefixCache:
    """The files in `folder` that are for one model. Together with those for others they take `limit_bytes` at most."""

    def __init__(self, folder: Path, limit_bytes: int, kind: str, store: KvStore) -> None:
        """`kind` tells what a state must have in common with this store to be of use."""
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._kind = kind
        self._name = hashlib.sha256(kind.encode()).hexdigest()[:16]
        self._store = store
        self._saved: list[SavedPrefix] = []
        """The one used last first, those saved meanwhile at the end."""
        with self._no_harm("can't be used"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = [one for one in self._files() if one.path.name.startswith(f"{self._name}-")]
            for one in own[:_FILES_MAX]:
                with self._no_harm(f"has a file {one.path.name} that can't be read"):
                    self._saved += self._read(one.path)

    def find(self, prompt: Sequence[int]) -> FoundPrefix | None:
        """The file with which most tokens of `prompt` needn't be computed; None if there is none."""
        found = [FoundPrefix(saved, usable(saved.tokens, saved.checkpoints, prompt)) for saved in self._saved]
        best = max(found, key=lambda one: one.tokens, default=None)
        return best if best and best.tokens else None

    def load(self, saved: SavedPrefix, slot: Slot) -> bool:
        """Fill the empty `slot` with what was saved. Raises KvGrowError where memory forbids it."""
        with self._no_harm("can't be read"), _opened(saved.path) as file:
            for content in read_slots(file):
                if load_slot(self._store, slot, content):
                    return _touch(saved.path)
        self._forget(saved)
        return False

    def keep(self, slot: Slot, keep: int = 0) -> bool:
        """Save what `slot` stores before it forgets all but `keep` tokens; whether there is a file of it then."""
        tokens = slot.tokens[: slot.stored]
        if not is_lost(slot.stored, keep):
            return False
        self._saved = [saved for saved in self._saved if saved.path.exists()]
        for saved in self._saved:
            if covers(saved.tokens, saved.checkpoints, tokens):
                return _touch(saved.path)
        with self._no_harm("can't be written"):
            written = self._read(self._write(slot, tokens))
            for latest in written:
                for shorter in [one for one in self._saved if covers(tokens, latest.checkpoints, one.tokens)]:
                    self._forget(shorter)
            self._saved += written
            self._clean()
            return True
        return False

    def _write(self, slot: Slot, tokens: list[int]) -> Path:
        """Write a file whole or not at all, for this user only; returns its path. Raises OSError, StateError."""
        digest = hashlib.sha256(repr(tokens).encode()).hexdigest()[:32]
        path = self._folder / f"{self._name}-{digest}{_SUFFIX}"
        file, partial = tempfile.mkstemp(_PARTIAL, f"{self._name}-", self._folder)
        try:
            write_slots(file, self._kind, self._store, [slot])
            os.rename(partial, path)
        except (OSError, StateError):
            os.unlink(partial)
            raise
        finally:
            os.close(file)
        log.info("the %d tokens of slot %d are in %s", len(tokens), slot.index, path.name)
        return path

    def _read(self, path: Path) -> list[SavedPrefix]:
        """The conversation in the file at `path`; none if it is damaged, of another kind or too long."""
        with _opened(path) as file:
            header = read_header(file)
        if header is None or header.kind != self._kind:
            return []
        is_cut_anywhere = all(state.cut == ANYWHERE for state in self._store.cells)
        return [
            SavedPrefix(path, slot.tokens, None if is_cut_anywhere else [tokens for tokens, _ in slot.checkpoints])
            for slot in header.slots
            if len(slot.tokens) <= self._store.policy.max_cells
        ]

    def _forget(self, saved: SavedPrefix) -> None:
        self._saved.remove(saved)
        with contextlib.suppress(OSError):
            saved.path.unlink()

    def _clean(self) -> None:
        """Delete what nobody will finish, and the files used longest ago until the others keep to the limit."""
        for path in self._folder.glob(f"*{_PARTIAL}"):
            if time.time() - path.stat().st_mtime > _PARTIAL_MAX_S:
                path.unlink(missing_ok=True)
        taken_bytes = 0
        for one in self._files():
            taken_bytes += one.size_bytes
            if taken_bytes > self._limit_bytes:
                one.path.unlink(missing_ok=True)
        self._saved = [saved for saved in self._saved if saved.path.exists()]

    def _files(self) -> list[_PrefixFile]:
        """All conversations of all models, the one used last first. Raises OSError."""
        files = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another runner has deleted it just now
                status = path.stat(follow_symlinks=False)
                files.append(_PrefixFile(status.st_mtime, status.st_size, path))
        return sorted(files, reverse=True)

    @contextlib.contextmanager
    def _no_harm(self, problem: str) -> Iterator[None]:
        """What goes wrong within the block costs time only."""
        try:
            yield
        except (OSError, StateError) as error:
            log.warning("the prefix cache in %s %s: %s", self._folder, problem, error)


def _touch(path: Path) -> bool:
    """Note that it was used: those used last stay longest. True, even where it can't be written to."""
    with contextlib.suppress(OSError):
        os.utime(path)
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
