"""Sizes in a file of SQLite's, so that they outlive the server: digests, numbers and times, nothing else."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from swell.errors import SizeFileError
from swell.sizes.recent import MODELS_MAX, SIZES_MAX, TurnSize

if TYPE_CHECKING:
    import sqlite3

KEPT_S = 90 * 86_400
"""What is older says nothing of how a model is used now."""
BUSY_S = 2.0
"""How long another server may hold the file; it takes milliseconds."""
_APPLICATION = 0x5357_454C
_VERSION = 1
_LARGEST = 2**31 - 1
_SCHEMA = f"""
CREATE TABLE sizes (id INTEGER PRIMARY KEY, model TEXT NOT NULL, tokens INTEGER NOT NULL, ended_s INTEGER NOT NULL);
CREATE INDEX sizes_of_models ON sizes (model);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
"""
_LATEST_OF_MODEL = "SELECT id FROM sizes WHERE model = ? ORDER BY id DESC LIMIT ?"
_LATEST_MODELS = "SELECT model FROM sizes GROUP BY model ORDER BY max(id) DESC LIMIT ?"


class SizeFile:
    """The file at `path`, which each call opens and closes, so that several servers may use it and anybody may delete
    it. All of it waits for the disk. Raises SizeFileError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether it is there; False where that can't be told."""
        with contextlib.suppress(OSError):
            return self.path.exists()
        return False

    def read(self) -> list[TurnSize]:
        """What is to be learned from, in the order in which it was written. Nothing where there is no file."""
        if not self.exists():
            return []
        with self._opened() as connection:
            if _is_new(connection):
                return []
            rows = connection.execute(
                "SELECT model, tokens, ended_s FROM sizes WHERE ended_s > ? ORDER BY id DESC LIMIT ?",
                (int(time.time()) - KEPT_S, MODELS_MAX * SIZES_MAX),
            ).fetchall()
        return [TurnSize(*row) for row in reversed(rows) if _is_sound(*row)]

    def append(self, sizes: Sequence[TurnSize]) -> None:
        """Add `sizes`, all or none, and delete what is too old or too much. Makes the file, for this user only."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(0o600)
        except OSError as error:
            raise SizeFileError(str(self.path), str(error.strerror)) from error
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if _is_new(connection):
                for statement in _SCHEMA.strip().splitlines():
                    connection.execute(statement)
            connection.executemany("INSERT INTO sizes (model, tokens, ended_s) VALUES (?, ?, ?)", sizes)
            _prune(connection, {size.model for size in sizes})
            connection.execute("COMMIT")

    @contextmanager
    def _opened(self) -> "Iterator[sqlite3.Connection]":
        """What is begun in the block and not committed is undone."""
        try:
            import sqlite3  # for those who learn; and not every Python has it
        except ImportError as error:
            raise SizeFileError(str(self.path), str(error)) from error
        try:
            address = f"file:{quote(str(self.path))}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)) as connection:
                yield connection
        except (sqlite3.Error, ValueError) as error:
            raise SizeFileError(str(self.path), str(error)) from error


def _is_new(connection: "sqlite3.Connection") -> bool:
    """Whether nothing is in it yet. Raises ValueError for what somebody else has written, or another version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) == (_APPLICATION, _VERSION):
        return False
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return True
    raise ValueError("another program has written it, or another version of this one")


def _prune(connection: "sqlite3.Connection", models: set[str]) -> None:
    """Keep what is recent: of each of `models`, of all times, and of all models."""
    for model in models:
        connection.execute(
            f"DELETE FROM sizes WHERE model = ? AND id NOT IN ({_LATEST_OF_MODEL})", (model, model, SIZES_MAX)
        )
    connection.execute("DELETE FROM sizes WHERE ended_s <= ?", (int(time.time()) - KEPT_S,))
    connection.execute(f"DELETE FROM sizes WHERE model NOT IN ({_LATEST_MODELS})", (MODELS_MAX,))


def _is_sound(model: object, tokens: object, ended_s: object) -> bool:
    """Whether a row is one of ours: SQLite takes anything for a number."""
    return isinstance(model, str) and isinstance(tokens, int) and 0 < tokens <= _LARGEST and isinstance(ended_s, int)
