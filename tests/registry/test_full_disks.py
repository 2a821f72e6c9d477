"""A disk that is full: a clear error, and nothing left of the pull."""

import contextlib
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.registry.scripted import REPOSITORY, ScriptedRegistry, digest
from tests.registry.transferring import check_store, transfer

from swell.errors import DiskFullError, StoreError
from swell.registry import transfers
from swell.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.destructive]

WEIGHTS = random.Random(6).randbytes(3_000_000)
SMALL = b"Do what you like."
CONFIG = b"{}"


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of transfers can't make files of more than 2 MB: a limit that isn't seen beforehand."""
    limit = 2_000_000 // 1024
    command = ("bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", *transfers._COMMAND)
    monkeypatch.setattr(transfers, "_COMMAND", command)


def test_what_doesnt_fit_leaves_nothing(registry: ScriptedRegistry, folder: Path, limited: None) -> None:
    """Not even the layers that did fit."""
    registry.add([SMALL, WEIGHTS, CONFIG])
    with pytest.raises(DiskFullError, match=r"blobs.*: file too large; free some space, or set OLLAMA_MODELS"):
        transfer(folder, f"{registry.host}/{REPOSITORY}")
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_what_others_use_stays(registry: ScriptedRegistry, folder: Path, limited: None) -> None:
    registry.add([SMALL, CONFIG], "small")
    transfer(folder, f"{registry.host}/{REPOSITORY}:small")
    registry.add([SMALL, WEIGHTS, CONFIG])
    with pytest.raises(DiskFullError):
        transfer(folder, f"{registry.host}/{REPOSITORY}")
    check_store(folder)
    assert {path.name for path in folder.glob("blobs/*")} == {
        digest(content).replace(":", "-") for content in (SMALL, CONFIG)
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("mounting takes a privilege that this process doesn't have")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_disk_that_fills_up_meanwhile(registry: ScriptedRegistry, small_disk: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    filler = small_disk / "filler"
    filling = threading.Lock()

    def fill(sent: int) -> None:
        with filling:  # nothing more is sent meanwhile
            if sent > 500_000 and not filler.exists():
                with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(4096))

    registry.on_sent = fill
    with pytest.raises(DiskFullError, match="no space left on device"):
        transfer(small_disk / "models", f"{registry.host}/{REPOSITORY}")
    assert not list(small_disk.glob("models/blobs/*"))
    filler.unlink()
    registry.on_sent = None
    transfer(small_disk / "models", f"{registry.host}/{REPOSITORY}")
    check_store(small_disk / "models")


def test_what_cant_fit_isnt_begun(registry: ScriptedRegistry, small_disk: Path) -> None:
    registry.add([WEIGHTS, WEIGHTS[::-1], CONFIG])
    with pytest.raises(DiskFullError, match="6000002 bytes are needed, and 4194304 are free"):
        transfer(small_disk / "models", f"{registry.host}/{REPOSITORY}")
    assert registry.sent_bytes == 0
    assert not list(small_disk.glob("models/blobs/*"))


def test_a_store_that_cant_be_written(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    folder.write_bytes(b"a file where a folder should be")
    with pytest.raises(StoreError, match="models"):
        transfer(folder, f"{registry.host}/{REPOSITORY}")
    assert Store(folder).blobs.find(digest(WEIGHTS)) is None
