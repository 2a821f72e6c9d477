"""What is measured: trees that stand for other machines, real control groups, folders, addresses and processes."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.control_group import new_group, new_processor_group

from swell.doctor.facts import FolderState, LibraryFacts, LibraryFailure, Overcommit, ServerState, Vendor
from swell.doctor.library import library_facts
from swell.doctor.machine import hardware_facts, memory_facts
from swell.doctor.places import folder_facts, listening_state
from swell.host import HostAddress
from swell.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file system to write files of the kernel into."""
    return tmp_path


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_devices_are_found_on_the_bus(root: Path) -> None:
    bus = "sys/bus/pci/devices"
    cards = {"0000:01:00.0": ("0x030200", "0x10de"), "0000:02:00.0": ("0x038000", "0x1002")}
    others = {"0000:00:01.0": ("0x020000", "0x8086"), "0000:00:02.0": ("0x030000", "0x1234")}
    for address, (kind, vendor) in {**cards, **others}.items():
        _write(root, {f"{bus}/{address}/class": f"{kind}\n", f"{bus}/{address}/vendor": f"{vendor}\n"})
    (root / "drivers/nvidia").mkdir(parents=True)
    (root / bus / "0000:01:00.0/driver").symlink_to(root / "drivers/nvidia")
    _write(root, {"dev/nvidiactl": ""})
    found = hardware_facts({"CUDA_VISIBLE_DEVICES": "-1", "PATH": "/"}, root)
    assert [(each.address, each.vendor, each.driver) for each in found.accelerators] == [
        ("0000:01:00.0", Vendor.NVIDIA, "nvidia"),
        ("0000:02:00.0", Vendor.AMD, ""),
    ]
    assert found.reachable == [Vendor.NVIDIA]
    assert found.hidden_by == ["CUDA_VISIBLE_DEVICES=-1"]


def test_the_kernels_words_about_memory_are_read(root: Path) -> None:
    meminfo = "SwapTotal: 1000 kB\nSwapFree: 10 kB\nCommitLimit: 50 kB\nCommitted_AS: 20 kB\n"
    huge_pages = {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n"}
    _write(root, {"proc/meminfo": meminfo, "proc/sys/vm/overcommit_memory": "2\n", **huge_pages})
    found = memory_facts(root)
    assert (found.swap_total_bytes, found.swap_free_bytes) == (1000 << 10, 10 << 10)
    assert (found.commit_free_bytes, found.overcommit, found.huge_pages) == (30 << 10, Overcommit.NEVER, "always")
    bare = memory_facts(root / "elsewhere")
    assert (bare.swap_total_bytes, bare.overcommit, bare.huge_pages) == (0, Overcommit.UNKNOWN, "")


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(store_dir=tmp_path, models_dir=tmp_path / "new/below", prefix_cache=tmp_path / "file/below")
    good, missing, impossible = folder_facts(settings)
    assert (good.setting, good.path, good.state) == ("OLLAMA_MODELS", str(tmp_path), FolderState.GOOD)
    assert good.free_bytes > 0
    assert (missing.state, impossible.state) == (FolderState.MISSING, FolderState.IMPOSSIBLE)


@pytest.mark.parametrize(
    ("mode", "state"), [(0o500, FolderState.READ_ONLY), (0o300, FolderState.UNREADABLE), (0o700, FolderState.GOOD)]
)
def test_what_a_user_may_do_with_a_folder(mode: int, state: FolderState) -> None:
    """As a user without privileges, whom pytest's own folders would be closed to."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from swell.settings import Settings; from swell.doctor.places import folder_facts\n"
        "os.getuid() or os.setuid(int(sys.argv[2]))\n"
        "print(next(folder_facts(Settings(store_dir=Path(sys.argv[1])))).state.name)"
    )
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        os.chmod(folder, mode)
        command = [sys.executable, "-c", program, folder, str(_NOBODY)]
        done = subprocess.run(command, capture_output=True, text=True)
        os.chmod(folder, 0o700)
    assert (done.stdout.strip(), done.stderr) == (state.name, "")


_NOBODY = 65534


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_addresses(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert listening_state(HostAddress("http", "127.0.0.1", port)) is ServerState.SILENT
    assert listening_state(HostAddress("http", "nowhere.invalid", port)) is ServerState.ELSEWHERE
    listener.close()
    assert listening_state(HostAddress("http", "127.0.0.1", port)) is ServerState.FREE
    assert listening_state(HostAddress("http", "127.0.0.1", port)) is ServerState.FREE  # looking keeps nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "exit_code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", -4, ""),
        ("raise ImportError('no such symbol')", 1, "no such symbol"),
        ("raise RuntimeError('broken')", 1, "broken"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_a_fact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, exit_code: int, reason: str
) -> None:
    _write(tmp_path, {"llama_cpp/__init__.py": "", "llama_cpp/llama_cpp.py": module})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    found = asyncio.run(library_facts())
    assert isinstance(found, LibraryFailure)
    assert found.exit_code == exit_code
    assert reason in found.reason


@pytest.mark.slow
def test_the_library_here_works_and_says_what_it_is() -> None:
    found = asyncio.run(library_facts())
    assert isinstance(found, LibraryFacts)
    assert found.package.startswith("0.3.")
    assert "CPU" in found.backends
    assert found.fuses_attention
    assert found.reserved_refusal is None


@pytest.mark.slow
@pytest.mark.destructive
def test_limits_of_control_groups_are_told() -> None:
    """What a process in real groups finds, of memory and of processor time."""
    program = (
        "import msgspec; from swell.doctor.machine import memory_facts, processor_facts\n"
        "print(msgspec.json.encode([memory_facts(), processor_facts()]).decode())"
    )
    with new_group() as memory_group, new_processor_group() as processor_group:
        processor_group.limit(0.5)
        enter_memory = memory_group.enter_with(200 << 20)

        def enter() -> None:
            enter_memory()
            if processor_group.quota.directory != memory_group.directory:
                processor_group.enter()

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, preexec_fn=enter)
    memory, processors = json.loads(done.stdout)
    assert 200 << 20 in [group["limit_bytes"] for group in memory["groups"]]
    assert memory["free_bytes"] < memory["total_bytes"] <= 200 << 20
    assert processors["quota"] <= 0.5
    assert processors["threads"] == 1
