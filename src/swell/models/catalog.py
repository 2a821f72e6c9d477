"""The catalog: every model the server can run, by name."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from swell.errors import ModelLoadError, ModelNotFoundError
from swell.models.bundled import BundledModels
from swell.models.folder import FolderModels
from swell.models.model import Model, Summary, open_model
from swell.models.store import StoreModels
from swell.store.names import ModelName, parse_name
from swell.store.store import Store
from swell.template_preference import TemplatePreference

__all__ = ["Catalog", "Model", "ModelSource"]

log = logging.getLogger(__name__)


class ModelSource(Protocol):
    """A place where models with names are. All methods may read files."""

    def names(self) -> list[ModelName]:
        """The names to list."""

    def summary(self, name: ModelName) -> Summary | None:
        """What lists say of one of `names`. Returns None and raises as `find` does. Clients ask every few seconds."""

    def find(self, name: ModelName) -> Model | None:
        """The model of that name, None if it isn't here. Raises ModelLoadError if it is damaged."""


class Survey(NamedTuple):
    """All models there are, newest first, and by the names of damaged ones what is wrong with them."""

    models: list[Summary]
    damaged: dict[str, str]


class Catalog:
    """Looks names up in its sources, in order. Reads files and so may take a while; safe to call from any thread."""

    def __init__(self, sources: Sequence[ModelSource] | None = None) -> None:
        self._sources: Sequence[ModelSource] = (BundledModels(),) if sources is None else sources
        self._told = set[tuple[str, str]]()

    def list(self) -> list[Summary]:
        """All named models, newest first. One whose file is damaged is left out, and logged once."""
        survey = self.survey()
        for told in survey.damaged.items():
            if told not in self._told:
                self._told.add(told)
                log.warning("leaving %s out of the list: %s", *told)
        return survey.models

    def survey(self) -> Survey:
        """All named models, and what is wrong with those that can't be run."""
        models: dict[str, Summary] = {}
        damaged: dict[str, str] = {}
        for source in self._sources:
            for name in source.names():
                try:
                    model = source.summary(name)
                except (ModelLoadError, FileNotFoundError) as error:
                    damaged[name.short] = str(error)
                    continue
                if model is not None:
                    models.setdefault(name.key, model)
        newest_first = sorted(models.values(), key=lambda model: model.modified_at, reverse=True)
        return Survey(newest_first, damaged)

    def find(self, name: str, *, allow_path: bool) -> Model:
        """The model called `name`; an absolute path or a name in `.gguf` is a file, if the caller may name files.

        Raises ModelNotFoundError, InvalidRequestError if it can't be a name, ModelLoadError if its file is damaged.
        """
        if is_path(name):
            return self._find_file(name, allow_path)
        parsed = parse_name(name)
        for source in self._sources:
            model = source.find(parsed)
            if model is not None:
                return model
        raise ModelNotFoundError(name)

    def _find_file(self, name: str, allow_path: bool) -> Model:
        if not allow_path:
            raise ModelNotFoundError(name)
        try:
            return open_model(Path(name), name, name)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a null byte in the path
            raise ModelNotFoundError(name) from error
        except OSError as error:
            raise ModelLoadError(name, error.strerror or str(error)) from error


def whole_catalog(store: Store, folder: Path | None, preference: TemplatePreference) -> Catalog:
    """All models of this machine, in the order in which names are looked up: a user's own go before what is bundled,
    whose alias may be the name of one. `preference` says which template is used of models that have two.
    """
    folders = [FolderModels(folder)] if folder else []
    return Catalog([*folders, StoreModels(store, preference), BundledModels()])


def is_path(name: str) -> bool:
    """Whether `name` is a file's path and no model name."""
    return name.startswith("/") or Path(name).is_absolute() or name.lower().endswith(".gguf")
