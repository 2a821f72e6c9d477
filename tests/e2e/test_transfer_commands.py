"""`pull`, `push`, and `run` of what isn't there: between a real server and real registries."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.cli.screen import Screen
from tests.cli.terminal import Terminal
from tests.e2e.command import swell
from tests.e2e.server import MODEL, Server, running
from tests.registry.real import docker_registry
from tests.registry.scripted import ScriptedRegistry
from tests.waiting import PATIENCE_S, wait_until

CONFIG = b'{"model_format":"gguf"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("transfers")
    with running(folder / "log", {"OLLAMA_MODELS": str(folder / "models")}) as started:
        yield started


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "registry") as started:
        yield started


@pytest.fixture
def scripted() -> Iterator[ScriptedRegistry]:
    """A registry with a model of some megabytes."""
    with ScriptedRegistry().serving() as registry:
        registry.add([bytes(8_000_000), CONFIG])
        yield registry


def test_a_model_goes_to_a_registry_and_comes_back(server: Server, host: str) -> None:
    name = f"{host}/me/there:v1"
    assert swell("cp", MODEL, name, host=server.url).returncode == 0
    refused = swell("push", name, host=server.url)
    assert (refused.returncode, refused.stderr.splitlines()[-1].startswith("Error: ")) == (1, True)

    pushed = swell("push", name, "--insecure", host=server.url)
    assert (pushed.returncode, pushed.stdout) == (0, "")
    steps = pushed.stderr.splitlines()
    assert steps[0] == "retrieving manifest"
    assert steps[-1] == "success"
    assert swell("rm", name, host=server.url).returncode == 0

    ran = swell("run", name, "Say hello.", "--insecure", host=server.url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    assert (ran.stderr.splitlines()[0], ran.stderr.splitlines()[-1]) == ("pulling manifest", "success")
    assert swell("run", name, "Say hello.", host=server.url).stderr == ""
    assert swell("rm", name, host=server.url).returncode == 0


def test_bars_on_a_terminal(server: Server, host: str) -> None:
    name = f"{host}/me/shown"
    assert swell("cp", MODEL, name, host=server.url).returncode == 0
    assert swell("push", name, "--insecure", host=server.url).returncode == 0
    assert swell("rm", name, host=server.url).returncode == 0
    environment = {**os.environ, "OLLAMA_HOST": server.url, "NO_COLOR": "1"}
    with Terminal("pull", name, "--insecure", environment=environment, columns=70) as terminal:
        screen = Screen(70)
        screen.write(terminal.until("\x1b[?25h"))
        assert terminal.end() == 0
    assert screen.shown[0] == "pulling manifest"
    assert screen.shown[-1] == "success"
    bars = [line for line in screen.shown if "%" in line]
    assert bars
    assert all("100%" in bar for bar in bars)


def test_what_no_registry_has(server: Server, host: str) -> None:
    result = swell("run", f"{host}/me/nonesuch", "hi", "--insecure", host=server.url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "pulling manifest\nError: pull model manifest: file does not exist\n"


def test_a_pull_goes_on_after_the_servers_death(tmp_path: Path, scripted: ScriptedRegistry) -> None:
    name, models = f"{scripted.host}/library/m", {"OLLAMA_MODELS": str(tmp_path / "models")}
    with running(tmp_path / "log", models) as server:
        scripted.on_sent = lambda sent_bytes: server.process.kill() if sent_bytes > 2_000_000 else None
        broken = swell("pull", name, "--insecure", host=server.url)
        server.process.wait()
    assert broken.returncode == 1
    assert broken.stderr.splitlines()[-1].startswith("Error: lost the connection to the server: ")
    assert broken.stderr.endswith("; the same command goes on where this one stopped\n")
    scripted.on_sent = None
    with running(tmp_path / "log", models) as server:
        assert swell("pull", name, "--insecure", host=server.url).stderr.endswith("success\n")


def test_an_interrupt_ends_the_pull_in_the_server_too(server: Server, scripted: ScriptedRegistry) -> None:
    command = [sys.executable, "-m", "swell", "pull", f"{scripted.host}/library/m", "--insecure"]
    begun, ended = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        begun.set()
        ended.wait(PATIENCE_S)

    scripted.on_sent = wait
    with subprocess.Popen(
        command, env={**os.environ, "OLLAMA_HOST": server.url}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert begun.wait(PATIENCE_S)
        assert transferring(server)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr is not None
        assert "Error" not in process.stderr.read()
    wait_until(lambda: not transferring(server), "the server gives up what nobody waits for")
    ended.set()


def transferring(server: Server) -> bool:
    """Whether the server has a process that pulls or pushes."""
    for child in server.children():
        with suppress(psutil.Error):  # it ended just now
            if "swell.registry" in child.cmdline():
                return True
    return False
