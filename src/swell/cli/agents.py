"""Coding agents, and what each must be told to talk to this server. Pure functions; nothing is written anywhere.

Sources: the agents' own documents of their environment variables and configuration.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

import msgspec

_KEY = "swell"
"""Agents insist on some key; the server asks for none."""
_OUTPUT_SHARE = 4
"""OpenCode must know how long an answer may be: a quarter of the window, so that there is room for what it is about."""


class LaunchTarget(NamedTuple):
    """The server's base URL, and the model that is to be used with its window."""

    url: str
    model: str
    window_tokens: int


class Telling(NamedTuple):
    """What an agent is told: environment variables, and arguments before the user's own."""

    variables: Mapping[str, str]
    arguments: tuple[str, ...] = ()


class Agent(NamedTuple):
    """A coding agent. Beside the search path its program may be in `folders`, below the user's own."""

    title: str
    program: str
    folders: tuple[PurePosixPath, ...]
    installation: str
    tell: Callable[[LaunchTarget], Telling]


def _claude(target: LaunchTarget) -> Telling:
    """The variables of Claude Code: one model for all it does, and its window; nothing goes to anybody else."""
    model, window = target.model, str(target.window_tokens)
    variables = {
        "ANTHROPIC_BASE_URL": target.url,
        "ANTHROPIC_AUTH_TOKEN": _KEY,
        "ANTHROPIC_API_KEY": "",  # one that is set would be preferred
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": model,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
        "CLAUDE_CODE_SUBAGENT_MODEL": model,
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": window,
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": window,
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",  # it changes with every request, so no prefix would be shared
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return Telling(variables, ("--model", model))


def _codex(target: LaunchTarget) -> Telling:
    """Codex takes its configuration as arguments, in TOML, of which JSON's texts and numbers are a part."""
    configuration = {
        "model_provider": "swell",
        "model_providers.swell.name": "Swell",
        "model_providers.swell.base_url": f"{target.url}/v1",
        "model_providers.swell.wire_api": "responses",
        "model_context_window": target.window_tokens,
    }
    pairs = (("-c", f"{name}={msgspec.json.encode(value).decode()}") for name, value in configuration.items())
    return Telling({}, ("-m", target.model, *(word for pair in pairs for word in pair)))


def _opencode(target: LaunchTarget) -> Telling:
    """OpenCode takes its configuration from a variable, and adds it to the user's own."""
    limit = {"context": target.window_tokens, "output": max(1, target.window_tokens // _OUTPUT_SHARE)}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Swell",
        "options": {"baseURL": f"{target.url}/v1", "apiKey": _KEY},
        "models": {target.model: {"name": target.model, "limit": limit}},
    }
    model = f"swell/{target.model}"
    configuration = {"provider": {"swell": provider}, "model": model, "small_model": model}
    return Telling({"OPENCODE_CONFIG_CONTENT": msgspec.json.encode(configuration).decode()})


_LOCAL_BIN = PurePosixPath(".local/bin")

AGENTS = {
    "claude": Agent(
        "Claude Code",
        "claude",
        (_LOCAL_BIN, PurePosixPath(".claude/local")),
        "npm install -g @anthropic-ai/claude-code",
        _claude,
    ),
    "codex": Agent("Codex", "codex", (_LOCAL_BIN,), "npm install -g @openai/codex", _codex),
    "opencode": Agent(
        "OpenCode", "opencode", (_LOCAL_BIN, PurePosixPath(".opencode/bin")), "npm install -g opencode-ai", _opencode
    ),
}
"""The agents by the names of their commands."""
