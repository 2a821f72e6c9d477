"""What pages mention within their sentences is there: commands and flags, targets of make, variables."""

import re
from collections.abc import Iterator

import pytest
import typer
from tests.documents.pages import ROOT, pages

from swell.cli.main import app
from swell.settings import setting_names

OTHERS_VARIABLES = {
    *("OLLAMA_EDITOR", "OLLAMA_LLM_LIBRARY", "OLLAMA_VULKAN", "OLLAMA_NO_CLOUD"),
    "OLLAMA_BASE_URL",  # Open WebUI's
    "OLLAMA_API_VERSION",  # a name of Python's
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def mentions(page: str) -> Iterator[str]:
    """All inline code of a page."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`\n]+)`", text))


def flags(command: typer.core.TyperCommand | typer.core.TyperGroup) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def is_known(code: str) -> bool:
    """Whether `swell …` names a command and flags that there are; what follows `--` is an agent's."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    name, *words = code.partition(" -- ")[0].split()[1:]
    if name not in group.commands:
        return name in {*flags(group), "--version", "COMMAND"}
    command = group.commands[name]
    if not isinstance(command, typer.core.TyperCommand):
        return True
    return {word.partition("=")[0] for word in words if word.startswith("-")} <= {*flags(command), "--help"}


@pytest.mark.parametrize("page", pages())
def test_mentioned_commands_are_commands(page: str) -> None:
    commands = [code for code in mentions(page) if code.startswith("swell ")]
    assert [code for code in commands if not is_known(code)] == []


def test_what_is_not_there_is_noticed() -> None:
    assert [code for code in ("swell foo", "swell run m --nix", "swell --nix", "swell ps -v") if is_known(code)] == [
        "swell ps -v"
    ]


@pytest.mark.parametrize("page", pages())
def test_mentioned_targets_and_variables_are_there(page: str) -> None:
    said = list(mentions(page))
    targets = {match[1] for code in said if (match := re.search(r"\bmake ([a-z-]+)", code))}
    assert targets - TARGETS == set()
    variables = {name for code in said for name in re.findall(r"\b(?:OLLAMA|SWELL)_[A-Z_]+\b", code)}
    assert variables - {*setting_names(), *OTHERS_VARIABLES} == set()
