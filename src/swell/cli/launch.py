"""`swell launch`: starts a coding agent that talks to this server."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from swell.cli.agents import AGENTS, Agent, LaunchTarget, Telling
from swell.cli.client import Client
from swell.cli.errors import NoAgentError, UsageError
from swell.cli.replies import ModelLength, Tags
from swell.cli.show import show_model


def agent_lines() -> Iterator[str]:
    """The agents there are, and which of them are installed here."""
    for name, agent in AGENTS.items():
        yield f"{name:<10} {agent.title:<12} {_find(agent) or f'not installed ({agent.installation})'}"


def agent_named(name: str) -> Agent:
    """Raises UsageError for an agent that isn't known."""
    if name not in AGENTS:
        raise UsageError(f'unknown agent "{name}"; there are: {", ".join(AGENTS)}')
    return AGENTS[name]


def target(client: Client, model: str) -> LaunchTarget:
    """The server and `model`, or the only one there is where that is "". Warns of a model that can't call tools.

    Raises UsageError if it isn't clear which model is meant, and what the client raises.
    """
    if not model:
        names = [stored.name for stored in client.get("/api/tags", Tags).models]
        if len(names) != 1:
            there = f"there are: {', '.join(names)}" if names else "there is none; swell pull fetches one"
            raise UsageError(f"say which model with --model; {there}")
        model = names[0]
    if "tools" not in show_model(client, model, verbose=False).capabilities:
        print(
            f"Warning: {model} can't call tools: requests with tools are refused, and most of agents' have them",
            file=sys.stderr,
        )
    return LaunchTarget(client.url, model, client.get(f"/v1/models/{quote(model)}", ModelLength).max_model_len)


def shell_lines(agent: Agent, telling: Telling, arguments: Sequence[str]) -> Iterator[str]:
    """What `launch` does, as commands of a shell."""
    for name, value in telling.variables.items():
        yield f"export {name}={shlex.quote(value)}"
    yield shlex.join([agent.program, *telling.arguments, *arguments])


def launch(agent: Agent, telling: Telling, arguments: Sequence[str]) -> int:
    """Run the agent in this terminal; its exit status. Raises NoAgentError if it isn't installed."""
    program = _find(agent)
    if program is None:
        raise NoAgentError(agent.title, agent.installation)
    # Ctrl-C in the terminal is the agent's affair; a handler, unlike being ignored, isn't inherited by it
    before = signal.signal(signal.SIGINT, _leave_to_agent)
    try:
        done = subprocess.run([program, *telling.arguments, *arguments], env={**os.environ, **telling.variables})
    finally:
        signal.signal(signal.SIGINT, before)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode  # as shells tell of signals


def _leave_to_agent(_number: int, _frame: FrameType | None) -> None:
    pass


def _find(agent: Agent) -> str | None:
    """The path of the agent's program; None if it isn't installed."""
    places = [os.environ.get("PATH", os.defpath), *(str(Path.home() / folder) for folder in agent.folders)]
    return shutil.which(agent.program, path=os.pathsep.join(places))
