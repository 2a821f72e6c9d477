"""Looks at places that a server needs: folders, and the address it is to listen on."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from swell.doctor.facts import FolderFacts, FolderState, ServerState
from swell.host import HostAddress
from swell.settings import Settings


def folder_facts(settings: Settings) -> Iterator[FolderFacts]:
    """The folders that `settings` name, as they are now."""
    folders = {
        "OLLAMA_MODELS": settings.store_dir,
        "SWELL_MODELS_DIR": settings.models_dir,
        "SWELL_PREFIX_CACHE": settings.prefix_cache,
    }
    for name, folder in folders.items():
        if folder is not None:
            path = folder.absolute()
            yield FolderFacts(setting=name, path=str(path), state=_state(path), free_bytes=_free_bytes(path))


def _state(folder: Path) -> FolderState:
    if not folder.is_dir():
        above = _nearest(folder)
        can_be_made = above.is_dir() and not os.path.lexists(folder) and os.access(above, os.W_OK | os.X_OK)
        return FolderState.MISSING if can_be_made else FolderState.IMPOSSIBLE
    if not os.access(folder, os.R_OK | os.X_OK):
        return FolderState.UNREADABLE
    return FolderState.GOOD if os.access(folder, os.W_OK) else FolderState.READ_ONLY


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(_nearest(folder)).free
    except OSError:
        return 0


def _nearest(path: Path) -> Path:
    """`path`, or the first above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


_STATES = {
    errno.EADDRINUSE: ServerState.SILENT,
    errno.EACCES: ServerState.FORBIDDEN,
    errno.EPERM: ServerState.FORBIDDEN,
}


def listening_state(address: HostAddress) -> ServerState:
    """Whether a server could listen on `address`, where nobody answers: bound for a moment, as a server does."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address.host, address.port))
            trial.listen()
    except OSError as error:  # names that can't be looked up, too
        return _STATES.get(error.errno or 0, ServerState.ELSEWHERE)
    return ServerState.FREE
