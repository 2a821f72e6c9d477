"""`swell launch`: what agents are told, and that they are started. Agents here are programs that tell what they see."""

import json
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Answers
from tests.cli.terminal import CTRL_C, Terminal

from swell.cli.agents import AGENTS, LaunchTarget
from swell.cli.launch import shell_lines

Swell = Callable[..., subprocess.CompletedProcess[str]]
MODEL = "registry.example:5000/some/mödel:a b'c"
TARGETS = st.builds(
    LaunchTarget,
    st.just("http://127.0.0.1:11434"),
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=10),
    st.integers(1, 2**32),
)
SAYS = """#!{python}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""


@pytest.fixture(autouse=True)
def _models(answers: Answers) -> None:
    row = {"name": "coder:7b", "digest": "", "size": 1, "modified_at": "2026-01-01T00:00:00Z"}
    answers["GET /api/tags"] = (200, json.dumps({"models": [row]}))
    answers["POST /api/show"] = (200, '{"capabilities":["completion","tools"]}')
    answers["GET /v1/models/coder%3A7b"] = (200, '{"max_model_len":32768}')


@pytest.fixture
def install(environment: dict[str, str], tmp_path: Path) -> Callable[..., None]:
    """Put a program for an agent on the search path, which has nothing else but the system's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    environment |= {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def write(name: str, text: str = SAYS, where: Path = folder) -> None:
        where.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text.format(python=sys.executable))
        (where / name).chmod(0o755)

    return write


def configuration(arguments: Sequence[str]) -> dict[str, Any]:
    """What Codex makes of its arguments: each is a line of TOML."""
    return tomllib.loads("\n".join(arguments[at + 1] for at, word in enumerate(arguments) if word == "-c"))


def test_claude_is_told_where_to_go_and_what_to_use(swell: Swell, install: Callable[..., None], address: str) -> None:
    install("claude")
    done = swell("launch", "claude", "--", "-p", "hello", "--model=other")
    arguments, variables = json.loads(done.stdout)
    assert (arguments, done.stderr) == (["--model", "coder:7b", "-p", "hello", "--model=other"], "")
    assert variables["ANTHROPIC_BASE_URL"] == f"http://{address}"
    assert (variables["ANTHROPIC_API_KEY"], bool(variables["ANTHROPIC_AUTH_TOKEN"])) == ("", True)
    assert variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "32768"
    models = {name: value for name, value in variables.items() if name.endswith("_MODEL")}
    assert set(models.values()) == {"coder:7b"}
    assert {f"ANTHROPIC_DEFAULT_{tier}_MODEL" for tier in ("OPUS", "SONNET", "HAIKU")} <= set(models)


def test_codex_is_told_by_arguments(swell: Swell, install: Callable[..., None], address: str) -> None:
    install("codex")
    done = swell("launch", "codex", "--model", "coder:7b", "-y", "--", "exec", "hello")
    arguments, _ = json.loads(done.stdout)
    assert arguments[:2] == ["-m", "coder:7b"]
    assert arguments[-2:] == ["exec", "hello"]
    provider = {"name": "Swell", "base_url": f"http://{address}/v1", "wire_api": "responses"}
    expected = {"model_provider": "swell", "model_providers": {"swell": provider}, "model_context_window": 32768}
    assert configuration(arguments) == expected


def test_opencode_is_told_by_a_configuration(swell: Swell, install: Callable[..., None], address: str) -> None:
    install("opencode")
    arguments, variables = json.loads(swell("launch", "opencode").stdout)
    found = json.loads(variables["OPENCODE_CONFIG_CONTENT"])
    assert (arguments, found["model"], found["small_model"]) == ([], "swell/coder:7b", "swell/coder:7b")
    provider = found["provider"]["swell"]
    assert provider["options"]["baseURL"] == f"http://{address}/v1"
    assert provider["models"]["coder:7b"]["limit"] == {"context": 32768, "output": 8192}


@given(target=TARGETS, arguments=st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=5), max_size=3))
def test_whatever_the_model_is_called_a_shell_and_the_agents_read_it(
    target: LaunchTarget, arguments: list[str]
) -> None:
    for agent in AGENTS.values():
        telling = agent.tell(target)
        *exports, command = shell_lines(agent, telling, arguments)
        assert shlex.split(command) == [agent.program, *telling.arguments, *arguments]
        for line, (name, value) in zip(exports, telling.variables.items(), strict=True):
            assert shlex.split(line) == ["export", f"{name}={value}"]
    codex, opencode = AGENTS["codex"].tell(target), AGENTS["opencode"].tell(target)
    assert configuration(codex.arguments)["model_context_window"] == target.window_tokens
    models = json.loads(opencode.variables["OPENCODE_CONFIG_CONTENT"])["provider"]["swell"]["models"]
    assert list(models) == [target.model]


def test_print_is_what_a_shell_would_run(
    swell: Swell, install: Callable[..., None], environment: dict[str, str]
) -> None:
    install("claude")
    printed = swell("launch", "claude", "--print", "--", "-p", "it's")
    in_shell = subprocess.run(["sh"], input=printed.stdout, capture_output=True, text=True, env=environment)
    arguments, variables = json.loads(in_shell.stdout)
    launched_arguments, launched_variables = json.loads(swell("launch", "claude", "--", "-p", "it's").stdout)
    assert arguments == launched_arguments == ["--model", "coder:7b", "-p", "it's"]
    ignored = {"PWD", "SHLVL", "_", "OLDPWD"}  # a shell's own
    assert {name for name in variables.keys() | launched_variables.keys() if name not in ignored} == {
        name for name in variables if variables[name] == launched_variables.get(name) and name not in ignored
    }


def test_an_agent_that_is_not_installed(swell: Swell, install: Callable[..., None], tmp_path: Path) -> None:
    install("codex")
    done = swell("launch", "claude")
    assert done.returncode == 1
    assert "Claude Code is not installed; this installs it: npm install -g @anthropic-ai/claude-code" in done.stderr
    assert swell("launch", "claude", "--print").returncode == 0
    install("claude", where=tmp_path / ".local/bin")  # where its own installer puts it
    assert swell("launch", "claude").returncode == 0
    listed = swell("launch").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["claude", "codex", "opencode"]
    assert listed[1].endswith(str(tmp_path / "bin/codex"))
    assert "not installed (npm install -g opencode-ai)" in listed[2]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["emacs"], 'unknown agent "emacs"; there are: claude, codex, opencode'),
        (["claude", "-p", "hi"], "unknown shorthand flag: 'p' in -p"),
    ],
)
def test_what_cannot_be_meant(swell: Swell, arguments: list[str], error: str) -> None:
    done = swell("launch", *arguments)
    assert (done.returncode, done.stderr) == (1, f"Error: {error}\n")


def test_which_model_is_meant(swell: Swell, answers: Answers, install: Callable[..., None]) -> None:
    install("claude")
    answers["GET /api/tags"] = (200, '{"models":[]}')
    assert "say which model with --model; there is none" in swell("launch", "claude").stderr
    rows = [{"name": name, "digest": "", "size": 1, "modified_at": "2026-01-01T00:00:00Z"} for name in ("a", "b")]
    answers["GET /api/tags"] = (200, json.dumps({"models": rows}))
    assert "say which model with --model; there are: a, b" in swell("launch", "claude").stderr
    answers["POST /api/show"] = (404, '{"error":"model \'x\' not found"}')
    assert swell("launch", "claude", "--model", "x").stderr == "Error: model 'x' not found\n"


def test_a_model_without_tools_is_warned_of(swell: Swell, answers: Answers, install: Callable[..., None]) -> None:
    install("claude")
    answers["POST /api/show"] = (200, '{"capabilities":["completion"]}')
    done = swell("launch", "claude")
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: coder:7b can't call tools")


def test_the_exit_status_is_the_agents(swell: Swell, install: Callable[..., None]) -> None:
    install("claude", "#!/bin/sh\nexit 7\n")
    assert swell("launch", "claude").returncode == 7
    install("claude", "#!/bin/sh\nkill -TERM $$\n")
    assert swell("launch", "claude").returncode == 128 + signal.SIGTERM


@pytest.mark.slow
def test_ctrl_c_is_the_agents_affair(environment: dict[str, str], install: Callable[..., None]) -> None:
    install("claude", "#!/bin/sh\ntrap 'echo interrupted; exit 5' INT\necho ready\nwhile :; do sleep 1; done\n")
    with Terminal("launch", "claude", environment=environment) as terminal:
        terminal.until("ready\r\n")
        terminal.type(CTRL_C)
        terminal.until("interrupted\r\n")
        assert terminal.end() == 5


ASKS = """#!{python}
import os, httpx
url = os.environ["ANTHROPIC_BASE_URL"]
body = dict(model=os.environ["ANTHROPIC_MODEL"], max_tokens=5, messages=[dict(role="user", content="Hi")])
print(url, httpx.post(url + "/v1/messages", json=body, timeout=60).status_code)
"""


@pytest.mark.model
@pytest.mark.slow
def test_a_server_of_its_own_is_started(environment: dict[str, str], install: Callable[..., None]) -> None:
    """With the real model, where no server runs; it ends with the agent."""
    install("claude", ASKS)
    environment["OLLAMA_HOST"] = "127.0.0.1:1"
    command = [sys.executable, "-m", "swell", "launch", "claude", "--model", "smollm2:135m"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    url, status = done.stdout.split()
    assert (done.returncode, status) == (0, "200")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
