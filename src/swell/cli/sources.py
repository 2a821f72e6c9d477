"""What a model is to be made of: files of this machine, and models of the server, as a Modelfile names them."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swell.cli.errors import UsageError
from swell.cli.names import clean, is_gguf_path
from swell.modelfile.instructions import Modelfile
from swell.models.split import parts_of

_UNCONVERTED = (".safetensors", ".bin", ".pth")
"""How files of weights end that aren't GGUF."""
_CONVERT = "convert it to GGUF with llama.cpp's convert_hf_to_gguf.py, and write FROM with the file that it makes"

NamedFiles = tuple[tuple[str, Path], ...]
"""Files, and the names by which the server is to know them."""


@dataclass(frozen=True)
class Sources:
    """`base` is a model's name, or empty."""

    base: str
    files: NamedFiles
    adapters: NamedFiles
    drafts: NamedFiles


def find_sources(modelfile: Modelfile, folder: Path) -> Sources:
    """What FROM, ADAPTER and DRAFT of a Modelfile in `folder` name. Raises UsageError for files that can't be used.

    What FROM names is a file or a folder if there is one, and the name of a model if there is none.
    """
    base, files = "", list[Path]()
    for text in modelfile.texts("from"):
        if path := _existing(text, folder):
            files += _files_in(path) if path.is_dir() else _parts(path)
        elif _is_path(text):
            raise UsageError(f"no such file: {text}")
        else:
            base = text
    adapters, drafts = (_named_files(modelfile.texts(name), folder) for name in ("adapter", "draft"))
    return Sources(base, _with_names(files), adapters, drafts)


def _named_files(texts: Sequence[str], folder: Path) -> NamedFiles:
    """What `texts` name, which can only be files. Raises UsageError."""
    files = list[Path]()
    for text in texts:
        path = _existing(text, folder)
        if path is None:
            raise UsageError(f"no such file: {text}")
        files += _files_in(path) if path.is_dir() else _parts(path)
    return _with_names(files)


def _existing(text: str, folder: Path) -> Path | None:
    path = folder / os.path.expanduser(text)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):  # too long for a path, or with a null in it
        return None


def _is_path(text: str) -> bool:
    """Whether a name can only be meant as that of a file."""
    return text.startswith(("/", "./", "../", "~")) or is_gguf_path(text)


def _files_in(folder: Path) -> list[Path]:
    """The GGUF files of a folder."""
    if files := sorted(folder.glob("*.gguf")):
        return files
    if any(path.suffix.lower() in _UNCONVERTED for path in folder.iterdir()):
        raise UsageError(f"{folder} holds a model that isn't converted: {_CONVERT}")
    raise UsageError("no Modelfile or safetensors files found")


def _parts(path: Path) -> list[Path]:
    """The file at `path`, with the others if it is the first of several parts of one model."""
    if path.suffix.lower() in _UNCONVERTED:
        raise UsageError(f"{path} isn't converted: {_CONVERT}")
    parts = list(parts_of(path))
    if missing := [part for part in parts if not part.exists()]:
        raise UsageError(f"a part of the model is missing: {missing[0]}")
    return parts


def _with_names(paths: Sequence[Path]) -> NamedFiles:
    """Each file once, with its name; the second file of a name is in a folder, as it were."""
    names: dict[str, Path] = {}
    for path in dict.fromkeys(paths):
        names[next(name for name in _names(path) if name not in names)] = path
    return tuple(names.items())


def _names(path: Path) -> Iterator[str]:
    name = clean(path.name)
    yield name
    for number in itertools.count(2):
        yield f"{number}/{name}"
