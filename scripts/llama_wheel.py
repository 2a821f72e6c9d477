"""Compile llama-cpp-python once for this machine, without what Swell doesn't use of it, and print the wheel's path.

BACKEND is cpu, vulkan, cuda or rocm; several may be joined, and rpc, as in rpc+vulkan. Wheels are kept in LLAMA_WHEELS
or ~/.cache/swell/wheels, by all that decides what becomes of a compilation: a later call on the same machine costs
nothing.

python scripts/llama_wheel.py BACKEND
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAN = ROOT / "scripts/llama_lean.cmake"
REQUIREMENT = ROOT / "requirements/llama.txt"
KEPT = Path(os.environ.get("LLAMA_WHEELS") or Path.home() / ".cache/swell/wheels")
HEADERS = (
    Path.home() / ".cache/swell/vulkan/usr"
)  # where scripts/prepare_vulkan puts headers if the system's are too old
FLAGS = {
    "cpu": (),
    "rpc": ("-DGGML_RPC=ON",),
    "vulkan": ("-DGGML_VULKAN=ON",),
    "cuda": ("-DGGML_CUDA=ON",),
    "rocm": ("-DGGML_HIP=ON",),
}
COMPILERS = {
    "vulkan": (("glslc", "--version"),),
    "cuda": (("nvcc", "--version"), ("nvidia-smi", "--list-gpus")),
    "rocm": (("hipcc", "--version"), ("rocm_agent_enumerator",)),
}
"""What takes part in compiling for a backend, and says which devices it compiles for."""


def main(backend: str) -> None:
    parts = sorted(backend.split("+"))
    if unknown := set(parts) - FLAGS.keys():
        sys.exit(f"no backend: {', '.join(unknown)}; there are {', '.join(FLAGS)}")
    if "vulkan" in parts and subprocess.run([ROOT / "scripts/prepare_vulkan", HEADERS.parent], stdout=2).returncode:
        sys.exit(1)
    environment, flags = dict(os.environ), ["-DLLAVA_BUILD=OFF", f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={LEAN}"]
    flags += [flag for part in parts for flag in FLAGS[part]]
    if "vulkan" in parts and HEADERS.exists():
        flags += [f"-DVulkan_INCLUDE_DIR={HEADERS}/include", f"-DCMAKE_PREFIX_PATH={HEADERS}"]
        environment["CXXFLAGS"] = f"{environment.get('CXXFLAGS', '')} -I{HEADERS}/include"
    folder = KEPT / f"{'+'.join(parts)}-{key(parts, flags, environment)}"
    if not folder.exists():
        print(f"compiling llama.cpp ({backend}), once for this machine; it takes minutes", file=sys.stderr, flush=True)
        build(flags, environment, folder)
    (wheel,) = folder.glob("*.whl")
    print(wheel)


def requirement() -> str:
    """The one line of the file that is no comment."""
    (line,) = (line for line in REQUIREMENT.read_text().splitlines() if not line.startswith("#"))
    return line


def key(parts: list[str], flags: list[str], environment: Mapping[str, str]) -> str:
    """A digest of what decides what is compiled: sources, options, compilers, headers, and the processor."""
    text = "\0".join(_said(parts, flags, environment)).replace(str(ROOT), "")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _said(parts: list[str], flags: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    yield from (requirement(), LEAN.read_text(), *flags)
    yield from (environment.get(name, "") for name in ("CMAKE_ARGS", "CFLAGS", "CXXFLAGS"))
    yield from sorted({line for line in _lines("/proc/cpuinfo") if line.startswith(("model name", "flags"))})
    for command in [
        (environment.get("CC", "cc"), "--version"),
        *(command for part in parts for command in COMPILERS.get(part, ())),
    ]:
        if shutil.which(command[0]):
            yield subprocess.run(command, capture_output=True, text=True).stdout
    if "vulkan" in parts:
        headers = HEADERS / "include" if HEADERS.exists() else Path("/usr/include")
        yield from (line for line in _lines(headers / "vulkan/vulkan_core.h") if "VK_HEADER_VERSION" in line)


def _lines(path: str | Path) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []


def build(flags: list[str], environment: dict[str, str], folder: Path) -> None:
    """Have a wheel in `folder`, which is there only once the wheel is.

    pip knows a wheel that it built by its source alone, so that its cache would mix them up.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as place:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-cache-dir", "--no-deps"),
                *("--no-binary", "llama-cpp-python", "--wheel-dir", f"{place}/new"),
                *("--config-settings", f"cmake.args={';'.join(flags)}"),  # not heeded for what a file requires
                requirement(),
            ],
            env=environment,
            stdout=2,
        )
        if done.returncode:
            sys.exit(done.returncode)
        if not folder.exists():
            Path(place, "new").rename(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
