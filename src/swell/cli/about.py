"""The answers to `/show`: what is known of a conversation's model, and what the user has set."""

from collections.abc import Callable
from typing import Any

from swell.cli.conversation import ChatSession
from swell.cli.replies import Shown
from swell.cli.show import format_value, sections


def about(topic: str, conversation: ChatSession) -> str | None:
    """The text to print; None for a topic that isn't known. Raises what the client raises."""
    tell = _TOPICS.get(topic)
    if tell is None:
        return None
    body: dict[str, Any] = {"model": conversation.run.model, "system": conversation.system}
    if topic != "parameters":  # these are listed apart from the model's own
        body["options"] = dict(conversation.run.options)
    return tell(conversation.client.post("/api/show", body, Shown), conversation)


def _parameters(shown: Shown, conversation: ChatSession) -> str:
    own = shown.parameters or "No additional parameters were specified for this model."
    lines = ["Model defined parameters:", *(f"  {line}" for line in own.splitlines()), ""]
    if conversation.run.options:
        rows = (f"  {name:<30} {format_value(value)}" for name, value in conversation.run.options.items())
        lines += ["User defined parameters:", *rows, ""]
    return "\n".join(lines)


def _system(shown: Shown, conversation: ChatSession) -> str:
    system = conversation.system or shown.system
    return f"{system}\n" if system else "No system message was specified for this model."


_TOPICS: dict[str, Callable[[Shown, ChatSession], str]] = {
    "info": lambda shown, _: sections(shown, verbose=False).removesuffix("\n"),
    "license": lambda shown, _: shown.license or "No license was specified for this model.",
    "modelfile": lambda shown, _: shown.modelfile,
    "parameters": _parameters,
    "system": _system,
    "template": lambda shown, _: shown.template or "No prompt template was specified for this model.",
}
