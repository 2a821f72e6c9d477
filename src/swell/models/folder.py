"""Models that lie in a folder as GGUF files, and in the folders below it."""

import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from swell.errors import ModelLoadError
from swell.models.model import Model, Summary, open_model
from swell.models.split import part_of, parts_of
from swell.store.names import ModelName, nearest_name

log = logging.getLogger(__name__)

_SUFFIX = ".gguf"
_ENTRIES_MAX = 50_000
"""Files and folders that are looked at, which takes 0.1 s: a user may name the root of a disk by mistake."""


class _File(NamedTuple):
    name: ModelName
    path: Path


class _CachedSummary(NamedTuple):
    """What lists say of a file's model, as long as its parts have these times and sizes; None if it is no model."""

    stamps: list[tuple[int, int]]
    found: Summary | None


class FolderModels:
    """A source of models for the catalog. Files that come and go are noticed whenever it is asked.

    `name.gguf` is called `name`, and `a/b/name.gguf` is `a-b/name`. The parts of a split model are one model, and files
    that are no models by their header, such as projectors, are left out.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.abspath(folder)
        self._files: dict[str, _File] = {}  # of the last look, by the keys of their names
        self._named: dict[str, _File | None] = {}  # by path; None for one that no name can be made of
        self._looked_s = 0.0
        self._looking = threading.Lock()
        self._kept: dict[Path, _CachedSummary] = {}
        self._told = set[str]()

    def names(self) -> list[ModelName]:
        """The names of all files, of which some may be no models."""
        return [file.name for file in self._look().values()]

    def summary(self, name: ModelName) -> Summary | None:
        """What lists say of a model. Cached while its files stay as they are: reading a header takes some 20 ms."""
        file = self._files.get(name.key)
        if file is None:
            return None
        stamps = _stamps(file.path)
        kept = self._kept.get(file.path)
        if kept is None or kept.stamps != stamps:
            model = _open(file)
            kept = self._kept[file.path] = _CachedSummary(stamps, model.summary() if model else None)
        return kept.found

    def find(self, name: ModelName) -> Model | None:
        """The model of that name, None if there is none. Raises ModelLoadError if its file is damaged."""
        return _open(self._files.get(name.key)) or _open(self._look().get(name.key))

    def _look(self) -> dict[str, _File]:
        """The files there are now, by the keys of their names."""
        asked_s = time.monotonic()
        with self._looking:
            if self._looked_s > asked_s:
                return self._files  # another thread looked after this call began
            began_s = time.monotonic()
            known = self._named
            self._named = {path: known[path] if path in known else self._file(path) for path in self._paths()}
            files: dict[str, _File] = {}
            for path, file in self._named.items():
                if file is None:
                    self._tell(f"{path!a} is left out: no name can be made of its own")
                elif (other := files.setdefault(file.name.key, file)) is not file:
                    self._tell(f"{path} is left out: {other.path} is called {other.name.short}, too")
            self._files, self._looked_s = files, began_s
            self._kept = {file.path: self._kept[file.path] for file in files.values() if file.path in self._kept}
            return files

    def _paths(self) -> Iterator[str]:
        """Files with models, those of upper folders first; of a split model, the first."""
        waiting, seen, left = deque([self._folder]), set[tuple[int, int]](), _ENTRIES_MAX
        while waiting and left > 0:
            folder = waiting.popleft()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in seen:
                    continue  # links may lead in circles
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as found:
                    entries = sorted(itertools.islice(found, left), key=lambda entry: entry.name)
            except OSError as error:
                self._tell(f"{folder!a} can't be looked at: {error.strerror}")
                continue
            left -= len(entries)
            for entry in entries:
                if entry.name.startswith("."):
                    continue  # hidden files are other programs'
                if _is_folder(entry):
                    waiting.append(entry.path)
                elif entry.name.lower().endswith(_SUFFIX):
                    part = part_of(entry.name)
                    if part is None or part.number == 1:
                        yield entry.path
        if left <= 0:
            self._tell(f"{self._folder} holds {_ENTRIES_MAX} files and folders or more; the rest isn't looked at")

    def _file(self, path: str) -> _File | None:
        """The file at `path`, if a name can be made of its own, and answers can hold it."""
        try:
            path.encode()
        except UnicodeEncodeError:
            return None
        folders, file_name = os.path.split(os.path.relpath(path, self._folder))
        part = part_of(file_name)
        name = nearest_name(folders, part.name if part else file_name[: -len(_SUFFIX)])
        return _File(name, Path(path)) if name else None

    def _tell(self, text: str) -> None:
        """Log a warning, once: clients ask for the list every few seconds."""
        if text not in self._told:
            self._told.add(text)
            log.warning("%s", text)


def _stamps(path: Path) -> list[tuple[int, int]]:
    """Times and sizes of the files of a model, up to one that is missing."""
    stamps = []
    for part in parts_of(path):
        try:
            status = part.stat()
        except OSError:
            break
        stamps.append((status.st_mtime_ns, status.st_size))
    return stamps


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _open(file: _File | None) -> Model | None:
    """None if the file is gone, or has no language model in it."""
    if file is None:
        return None
    try:
        model = open_model(file.path, file.name.short, file.name.full)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelLoadError(str(file.path), error.strerror or str(error)) from error
    return model if _is_language_model(model) else None


def _is_language_model(model: Model) -> bool:
    """Whether it is one that llama.cpp runs: these have a trained length. Projectors, adapters, models of images and
    importance matrices have none."""
    is_model = model.header.metadata.get("general.type", "model") == "model"
    return is_model and model.context_length > 0 and bool(model.header.tensors)
