"""Which llama.cpp is compiled, and when. That it can be is shown by all other tests, which run on it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def program(folder: Path, name: str, text: str = "1.0") -> None:
    (folder / name).write_text(f"#!/bin/sh\necho {text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("there", "tools", "backend", "said"),
    [
        ({}, ("nvcc", "hipcc", "glslc"), "cpu", ""),
        ({"cuda": "nvidiactl"}, ("nvcc", "glslc"), "cuda", ""),
        ({"cuda": "nvidiactl"}, (), "cpu", "not cuda: "),
        ({"cuda": "nvidiactl", "rocm": "kfd"}, ("hipcc",), "rocm", "not cuda: "),
    ],
)
def test_a_backend_needs_a_device_and_its_compiler(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: dict[str, str],
    tools: tuple[str, ...],
    backend: str,
    said: str,
) -> None:
    loaded = runpy.run_path(str(ROOT / "scripts/backend.py"))
    for name in loaded["NODES"]:
        node = tmp_path / there.get(name, "none")
        if name in there:
            node.touch()
        loaded["NODES"][name] = (str(node),)
    for name in tools:
        program(tmp_path, name)
    monkeypatch.setenv("PATH", str(tmp_path))
    loaded["main"].__globals__["vulkan_devices"] = lambda: iter(())
    loaded["main"]()
    out, err = capsys.readouterr()
    assert (out.strip(), err[: len(said)] if said else err) == (backend, said)


def test_what_this_machine_has_is_a_backend() -> None:
    assert script("backend.py").stdout.strip() in ("cpu", "vulkan", "cuda", "rocm")


def test_a_wheel_is_compiled_once_for_each_compiler(tmp_path: Path) -> None:
    """What would compile it is no compiler here, so that a wheel must be there already."""
    wheels = tmp_path / "wheels"
    program(tmp_path, "cc", "one")
    environment = {"LLAMA_WHEELS": str(wheels), "CC": str(tmp_path / "cc"), "PIP_NO_INDEX": "1"}
    first = script("llama_wheel.py", "cpu", **environment)
    assert (first.returncode != 0, "compiling llama.cpp (cpu)" in first.stderr) == (True, True)
    assert list(wheels.iterdir()) == []  # nothing is left of what failed
    keys = []
    for compiler in ("one", "another"):
        program(tmp_path, "cc", compiler)
        loaded = runpy.run_path(str(ROOT / "scripts/llama_wheel.py"))
        keys.append(loaded["key"](["cpu"], [], {"CC": environment["CC"]}))
    assert keys[0] != keys[1]


def test_a_wheel_that_is_kept_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_WHEELS", str(tmp_path))
    loaded = runpy.run_path(str(ROOT / "scripts/llama_wheel.py"))
    flags = ["-DLLAVA_BUILD=OFF", f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={loaded['LEAN']}"]
    folder = tmp_path / f"cpu-{loaded['key'](['cpu'], flags, os.environ)}"
    folder.mkdir()
    (folder / "llama.whl").touch()
    done = script("llama_wheel.py", "cpu")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(folder / "llama.whl"), "")


def test_a_backend_that_is_not_known_is_refused() -> None:
    done = script("llama_wheel.py", "cpu+metal")
    assert done.returncode == 1
    assert "no backend: metal" in done.stderr
