"""The servers that are compared, each in processes of its own on a free port of loopback."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import httpx
import psutil
from benchmarks.serve.client import Dialect

_PATIENCE_S = 120.0


class Kind(Enum):
    """Whose server it is."""

    SWELL = "Swell"
    SWELL_BEFORE = "Swell before"
    LLAMA_CPP = "llama.cpp's server"
    LLAMA_CPP_PYTHON = "llama-cpp-python[server]"


_SWELLS = (Kind.SWELL, Kind.SWELL_BEFORE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """The same for all: a window of `window_tokens` for each of `slots`. llama-cpp-python has just one."""

    model_name: str
    model_path: Path
    slots: int
    window_tokens: int
    threads: int
    before: Path | None = None
    """The `src` folder of another checkout of Swell, to compare with."""

    def __post_init__(self) -> None:
        if self.before is not None and not (self.before / "swell").is_dir():
            raise ValueError(f"{self.before} is no src folder of Swell's")


@dataclasses.dataclass(frozen=True)
class Usage:
    """Seconds of CPU that a server's processes took so far, and bytes they hold, shared pages counted by share."""

    processor_s: float
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class Server:
    kind: Kind
    url: str
    process: psutil.Process

    @property
    def dialect(self) -> Dialect:
        return Dialect.OLLAMA if self.kind in _SWELLS else Dialect.OPENAI

    def usage(self) -> Usage:
        """Of the process and its children, at this moment."""
        family = [self.process, *self.process.children(recursive=True)]
        times = [process.cpu_times() for process in family]
        memory = sum(process.memory_full_info().pss for process in family)
        return Usage(sum(time.user + time.system for time in times), memory)


@contextlib.contextmanager
def running(kind: Kind, setup: Setup, log: Path) -> Iterator[Server]:
    """A server that answers; raises TimeoutError when it doesn't in time. Its output goes to `log`."""
    port = _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(kind, setup, port),
            env={**os.environ, **_environment(kind, setup, port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(f"{url}/{'api/version' if kind in _SWELLS else 'v1/models'}", process)
        yield Server(kind, url, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(kind: Kind, setup: Setup, port: int) -> list[str]:
    model = str(setup.model_path)
    match kind:
        case Kind.SWELL | Kind.SWELL_BEFORE:
            arguments = ["swell", "serve"]
        case Kind.LLAMA_CPP:
            numbers = (port, setup.slots, setup.window_tokens, setup.threads)
            arguments = ["benchmarks.serve.llama_server", model, *map(str, numbers)]
        case Kind.LLAMA_CPP_PYTHON:
            arguments = ["llama_cpp.server", "--model", model, "--host", "127.0.0.1", "--port", str(port)]
            arguments += ["--n_ctx", str(setup.window_tokens)]
            arguments += ["--n_threads", str(setup.threads), "--n_threads_batch", str(setup.threads)]
            arguments += ["--interrupt_requests", "False"]  # clients wait for each other instead of being cut off
    return [sys.executable, "-m", *arguments]


def _environment(kind: Kind, setup: Setup, port: int) -> dict[str, str]:
    if kind not in _SWELLS:
        return {}
    older = {"PYTHONPATH": str(setup.before)} if kind is Kind.SWELL_BEFORE and setup.before else {}
    return {
        **older,
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_NUM_PARALLEL": str(setup.slots),
        "OLLAMA_CONTEXT_LENGTH": str(setup.window_tokens),
        "OLLAMA_KEEP_ALIVE": "-1",
        "SWELL_REPEAT_GUARD": "0",  # the others have none, and all are to write as much
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")
