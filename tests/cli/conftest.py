"""A tiny HTTP server whose answers each test writes down, and the real command run against it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]

HANG = "<hang>"
HANG_LIMIT_S = 20


@pytest.fixture
def answers() -> Answers:
    """`"POST /api/show"` -> status and body. A body that ends with HANG is sent, then nothing more comes.

    Every model is there.
    """
    return {"HEAD /": (200, ""), "POST /api/show": (200, '{"model_info":{}}')}


@pytest.fixture
def afterwards() -> dict[str, Answers]:
    """`"POST /api/pull"` -> answers that change with this request."""
    return {}


@pytest.fixture
def asked() -> Asked:
    """What was requested: method and path, and the body, decoded unless it's a file; HEAD is left out."""
    return []


@pytest.fixture
def address(answers: Answers, afterwards: dict[str, Answers], asked: Asked) -> Iterator[str]:
    """`host:port` of the running server."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size_bytes = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size_bytes)
            key = f"{self.command} {self.path}"
            if self.command != "HEAD":
                is_file = self.headers.get("Content-Type") == "application/octet-stream"
                asked.append((key, body if is_file else json.loads(body) if body else None))
            status, text = answers.get(key, (404, "404 page not found"))
            answers.update(afterwards.get(key, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.removesuffix(HANG).encode())
            self.wfile.flush()
            if text.endswith(HANG):
                done.wait(HANG_LIMIT_S)

        do_GET = do_POST = do_HEAD = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    done.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def environment(address: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a command that is to find the server, and no lines that were typed before."""
    state = str(tmp_path / "state")
    return {**os.environ, "OLLAMA_HOST": address, "NO_COLOR": "1", "COLUMNS": "80", "XDG_STATE_HOME": state}


@pytest.fixture
def swell(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `swell` with some arguments; `stdin` is piped to it, `host` replaces the server's address."""

    def run(*arguments: str, stdin: str = "", host: str = "") -> subprocess.CompletedProcess[str]:
        variables = {**environment, "OLLAMA_HOST": host or environment["OLLAMA_HOST"]}
        command = [sys.executable, "-m", "swell", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=variables, timeout=60)

    return run
