"""What other programs may use of Swell."""

import asyncio
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest

import swell
from swell import Server, Settings

pytestmark = pytest.mark.model
EXAMPLES = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "docs/python.md").read_text(), re.DOTALL)


def test_the_public_names_are_these_and_are_there() -> None:
    assert swell.__all__ == ["OLLAMA_API_VERSION", "Server", "Settings", "__version__"]
    assert all(getattr(swell, name) is not None for name in swell.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Scheduler'"):
        _ = swell.Scheduler
    listed = "import swell, sys; print(swell.__version__, 'swell.serve' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", listed], text=True) == f"{swell.__version__} False\n"


def test_a_server_in_a_program_answers_and_leaves_nothing() -> None:
    threads, children = threading.active_count(), len(psutil.Process().children())
    with Server() as server, httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client:
        assert server.address[0] == "127.0.0.1"
        asked = {"model": "smollm2:135m", "prompt": "Hi", "stream": False, "options": {"num_predict": 4}}
        assert client.post("/api/generate", json=asked).json()["eval_count"] == 4
    assert len(psutil.Process().children()) == children
    assert threading.active_count() <= threads + 1  # the one that watches child processes may stay
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url, trust_env=False)


def test_a_server_beside_an_event_loop() -> None:
    async def use() -> str:
        async with Server() as first, Server() as second, httpx.AsyncClient(trust_env=False) as client:
            assert first.address != second.address
            return str((await client.get(f"{second.url}/api/version")).json()["swell"])

    assert asyncio.run(use()) == swell.__version__


def test_an_address_in_use_is_refused_where_the_server_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(Settings.from_environment({"OLLAMA_HOST": f"127.0.0.1:{taken.getsockname()[1]}"}))
        with pytest.raises(OSError, match="in use"):
            server.start()
    server.stop()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = server.address


def test_a_server_is_started_once() -> None:
    with Server() as server, pytest.raises(RuntimeError, match="before"):
        server.start()
    with pytest.raises(RuntimeError, match="before"):
        server.start()


def test_a_server_that_fails_to_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_renderer: object) -> None:
        raise RuntimeError("no templates today")

    monkeypatch.setattr("swell.sandbox.renderer.Renderer.warm", fail)
    server = Server()
    with pytest.raises(RuntimeError, match="could not start"):
        server.start()


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_documentation_is_right(example: str) -> None:
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert "127.0.0.1" in run.stdout
