"""The command line, from the shell's side of it."""

import contextlib
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.cli.terminal import CTRL_D, Terminal
from tests.e2e.command import MARK, WINDOW, swell
from tests.e2e.server import MODEL, Server, running
from tests.e2e.templates import THINKS, write_with_template
from tests.tiny.encoder import write_bert
from tests.waiting import wait_until

from swell import __version__


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server") / "log", WINDOW) as started:
        yield started


@pytest.fixture
def nowhere() -> str:
    """An address where no server is."""
    return "127.0.0.1:9"


def test_run_answers_and_shows_its_timings(server: Server) -> None:
    run = swell("run", MODEL, "Say hello.", "--verbose", host=server.url)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    assert "eval rate:" in run.stderr


def test_run_reads_a_pipe_before_its_words(server: Server) -> None:
    run = swell("run", MODEL, "Summarise.", host=server.url, stdin="The lighthouse is red.")
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def test_run_shows_thoughts(server: Server, model_path: Path, tmp_path: Path) -> None:
    file = write_with_template(model_path, tmp_path / "thinks.gguf", THINKS)
    digest = f"sha256:{hashlib.sha256(Path(file).read_bytes()).hexdigest()}"
    thinks, greedy = "thinks", {"temperature": 0, "num_predict": 40}  # sampled, it now and then says nothing
    server.http.post(f"/api/blobs/{digest}", content=Path(file).read_bytes()).raise_for_status()
    server.ask("/api/create", model=thinks, files={"m.gguf": digest}, parameters=greedy)
    shown = swell("run", thinks, "--think", "Say hello.", host=server.url)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Thinking...\n")
    silent = swell("run", thinks, "--think=false", "Say hello.", host=server.url)
    assert silent.stdout.strip()
    assert "Thinking..." not in silent.stdout
    refused = swell("run", MODEL, "--think=high", "Say hello.", host=server.url)
    assert (refused.returncode, refused.stderr) == (1, f'Error: 400 Bad Request: "{MODEL}" does not support thinking\n')


def test_run_writes_what_a_schema_demands(server: Server) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 7, "maximum": 7}}, "required": ["n"]}
    run = swell("run", MODEL, "--format", json.dumps(schema), "A number, please.", host=server.url)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == {"n": 7}


def test_run_embeds(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "bert.gguf"
    write_bert(path)
    (vector,) = server.ask("/api/embed", model=str(path), input="a dog runs.")["embeddings"]
    assert json.loads(swell("run", str(path), "a dog runs.", host=server.url).stdout) == pytest.approx(vector, abs=1e-6)
    short = json.loads(swell("run", str(path), "--dimensions=4", "a dog runs.", host=server.url).stdout)
    assert short == pytest.approx([number / math.hypot(*vector[:4]) for number in vector[:4]], abs=1e-6)


def test_an_interrupt_ends_an_answer_and_its_request(tmp_path: Path) -> None:
    endless = (
        '{"type": "array", "items": {"type": "integer"}, "minItems": 100000}'  # as good as that: for 81,920 tokens
    )
    with running(tmp_path / "log") as server:
        command = [sys.executable, "-m", "swell", "run", MODEL, f"--format={endless}", "Count."]
        environment = {**os.environ, "OLLAMA_HOST": server.url}
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert process.returncode == 0
        wait_until(lambda: server.loaded()["context_active"] == 0, "nobody computes what nobody reads")


def test_a_conversation(server: Server, model_path: Path) -> None:
    environment = {**os.environ, "OLLAMA_HOST": server.url, "OLLAMA_NOHISTORY": "1"}
    with Terminal("run", MODEL, environment=environment, columns=200) as terminal:
        terminal.until(">>> ")
        for line, shown in {
            "/set parameter num_predict 1": "Set parameter 'num_predict' to '1'",
            "/set verbose": "Set 'verbose' mode.",
            "Say hello.": "eval count:           1 token(s)",
            "/show info": "  Model\n    architecture        llama",
            "/show parameters": "num_predict                    1",
            "/load nonesuch": "Couldn't find model 'nonesuch'",
            f"/load {model_path}": "Loading model",
            "And now?": "eval count:           1 token(s)",
        }.items():
            terminal.type(f"{line}\r")
            assert shown in terminal.until(">>> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0


def test_run_starts_a_server_of_its_own_and_leaves_nothing(nowhere: str, model_path: Path) -> None:
    mark = uuid.uuid4().hex
    run = swell("run", str(model_path), "Say hello.", host=nowhere, mark=mark)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    assert run.stderr == ""
    assert list(marked(mark)) == []


def marked(mark: str) -> Iterator[psutil.Process]:
    """The processes that are left of one run, whatever else is on the machine."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                yield process


def test_ps_shows_what_is_allocated(server: Server) -> None:
    server.generate("Hello", predict=1)
    plain, verbose = swell("ps", host=server.url).stdout, swell("ps", "-v", host=server.url).stdout
    assert plain.split("\n")[0].split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    header = ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "ACTIVE", "CUT", "THREADS", "UNTIL"]
    assert verbose.split("\n")[0].split()[:9] == header
    assert " 2048/96 " in plain
    assert "100% CPU" in plain


def test_list_show_and_stop(server: Server) -> None:
    assert MODEL in swell("list", host=server.url).stdout
    assert "architecture" in swell("show", MODEL, host=server.url).stdout
    assert swell("stop", MODEL, host=server.url).returncode == 0
    stopped = swell("stop", "nonesuch", host=server.url)
    assert (stopped.returncode, stopped.stderr) == (1, 'Error: couldn\'t find model "nonesuch" to stop\n')


def test_errors_are_one_line(server: Server, nowhere: str) -> None:
    unknown = swell("show", "nonesuch", host=server.url)
    assert (unknown.returncode, unknown.stderr) == (1, "Error: model 'nonesuch:latest' not found\n")
    missing = swell("run", "/nowhere/nonesuch.gguf", "hi", host=server.url)
    assert (missing.returncode, missing.stderr) == (1, "Error: model '/nowhere/nonesuch.gguf' not found\n")
    unreachable = swell("run", f"{nowhere}/me/nonesuch", "hi", "--insecure", host=server.url)
    assert (unreachable.returncode, unreachable.stdout) == (1, "")
    assert unreachable.stderr.splitlines()[-1].startswith("Error: ")
    alone = swell("list", host=nowhere)
    assert alone.returncode == 1
    assert "run 'swell serve'" in alone.stderr


def test_version(server: Server, nowhere: str) -> None:
    assert swell("--version", host=server.url).stdout == f"swell version is {__version__}\n"
    assert f"client version is {__version__}" in swell("--version", host=nowhere).stdout
