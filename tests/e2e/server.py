"""A real Swell server in a process of its own, for tests through its HTTP API."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
from tests.waiting import PATIENCE_S

MODEL = "smollm2:135m"


class Server:
    """One server process, reached through `http`."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log
        self.http = httpx.Client(base_url=url, timeout=PATIENCE_S * 4, trust_env=False)

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """POST a request that must succeed, without streaming unless asked."""
        response = self.http.post(path, json={"model": MODEL, "stream": False, **body})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def generate(self, prompt: str, *, predict: int = 16, **body: Any) -> dict[str, Any]:
        """A greedy completion of a raw prompt."""
        options = {"temperature": 0, "num_predict": predict, **body.pop("options", {})}
        return self.ask("/api/generate", prompt=prompt, raw=True, options=options, **body)

    def loaded(self) -> dict[str, Any]:
        """The only row of `ps`."""
        (row,) = self.http.get("/api/ps").json()["models"]
        return dict(row)

    def runners(self) -> list[psutil.Process]:
        """The runner processes that are alive."""
        return [child for child in self.children() if _is_runner(child)]

    def children(self) -> list[psutil.Process]:
        """All processes of the server, those that render templates too."""
        return psutil.Process(self.process.pid).children()

    def runner(self) -> psutil.Process:
        (process,) = self.runners()
        return process

    def stop(self) -> None:
        """End the server as its user would, and check that it ended well and left nothing behind."""
        children = self.children()
        self.process.send_signal(signal.SIGTERM)
        exit_code = self.process.wait(PATIENCE_S)
        assert exit_code in (0, -signal.SIGTERM), self.log.read_text()
        assert all(not child.is_running() for child in children)


def _is_runner(child: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
        return child.status() != psutil.STATUS_ZOMBIE and "swell.runner" in child.cmdline()
    return False


@contextlib.contextmanager
def running(
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    before: Callable[[], None] | None = None,
    send_buffer_bytes: int | None = None,
    port: int = 0,
) -> Iterator[Server]:
    """A server on `port` of loopback, a free one if that is 0, with settings from `environment` only.

    Its process first calls `before`.
    The kernel keeps no more than about `send_buffer_bytes` for a client that doesn't read, instead of megabytes.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "SWELL_"))}
    with socket.create_server(("127.0.0.1", port)) as listener, log.open("wb") as output:
        if send_buffer_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "swell", "serve", "--listen-fd", str(listener.fileno())],
            env={
                **inherited,
                "OLLAMA_HOST": f"127.0.0.1:{port}",
                "OLLAMA_MODELS": str(log.with_name("no store")),  # not the user's own
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(listener.fileno(),),
            preexec_fn=before,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        yield server
        if process.poll() is None:
            server.stop()
    finally:
        server.http.close()
        if process.poll() is None:
            process.kill()
            process.wait()
