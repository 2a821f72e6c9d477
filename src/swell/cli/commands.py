"""The lines of a conversation that begin with a slash."""

import dataclasses
import sys
from collections.abc import Sequence
from http import HTTPStatus

from swell.cli import usage
from swell.cli.about import about
from swell.cli.conversation import ChatSession
from swell.cli.errors import RefusedError
from swell.cli.listing import list_models
from swell.cli.multiline import complete
from swell.cli.names import model_name
from swell.cli.replies import StepLine
from swell.cli.run import THINK_VALUES, load
from swell.errors import InvalidParameterError
from swell.modelfile.parameters import parse_parameter

_MODES = {
    "wordwrap": {"wordwrap": True},
    "nowordwrap": {"wordwrap": False},
    "verbose": {"verbose": True},
    "quiet": {"verbose": False},
    "think": {"think": True},
    "nothink": {"think": False},
}
"""What a word after `/set` changes."""


def obey(line: str, conversation: ChatSession) -> None:
    """Do what `line` says. Raises what the client and the keyboard raise."""
    match line.split():
        case ["/?" | "/help"]:
            print(usage.OVERVIEW)
        case ["/?" | "/help", topic, *_]:
            if text := usage.TOPICS.get(topic.removeprefix("/")):
                print(text)
        case ["/set", "system", _, *_]:
            conversation.instruct(complete(line.split(maxsplit=2)[2], conversation.keyboard.read_line))
            print("Set system message.")
        case ["/set", name, *values] if name != "system":
            _set(conversation, name, values)
        case ["/set", *_]:
            print(usage.SET)
        case ["/show", topic, *_]:
            text = about(topic, conversation)
            print(_unknown(f"/show {topic}") if text is None else text)
        case ["/show"]:
            print(usage.SHOW)
        case ["/load", name]:
            _load(conversation, name)
        case ["/load", *_]:
            print("Usage:\n  /load <modelname>")
        case ["/save", name]:
            _save(conversation, name)
        case ["/save", *_]:
            print("Usage:\n  /save <modelname>")
        case ["/list", *prefixes]:
            sys.stdout.write(list_models(conversation.client, "".join(prefixes[:1])))
        case ["/clear", *_]:
            conversation.clear()
            print("Cleared session context")
        case [command, *_]:
            print(_unknown(command))


def _set(conversation: ChatSession, name: str, values: Sequence[str]) -> None:
    match [name, *values]:
        case ["parameter", parameter, _, *_]:
            _set_parameter(conversation, parameter, values[1:])
        case ["parameter", *_]:
            print(usage.PARAMETERS)
        case ["think", level, *_]:
            _set_think(conversation, level)
        case ["format", "json", *_]:
            conversation.change(format="json")
            print("Set format to 'json' mode.")
        case ["format", *_]:
            print("Invalid or missing format. For 'json' mode use '/set format json'")
        case ["noformat", *_]:
            conversation.change(format=None)
            print("Disabled format.")
        case ["history" | "nohistory", *_]:
            conversation.keyboard.keeps_history = name == "history"
        case [mode, *_] if mode in _MODES:
            conversation.change(**_MODES[mode])
            print(f"Set '{mode}' mode.")
        case _:
            print(_unknown(f"/set {name}"))


def _set_parameter(conversation: ChatSession, name: str, values: Sequence[str]) -> None:
    try:
        value = parse_parameter(name, values)
    except InvalidParameterError as error:
        print(f'Couldn\'t set parameter: "{error}"')
        return
    conversation.change(options={**conversation.run.options, name: value})
    print(f"Set parameter '{name}' to '{', '.join(values)}'")


def _set_think(conversation: ChatSession, level: str) -> None:
    if level not in THINK_VALUES:
        values = '"high", "medium", "low", "max", true, or false'
        print(f'Error: invalid think value: "{level}" (must be {values})', file=sys.stderr)
        return
    conversation.change(think=THINK_VALUES[level])
    print("Set 'think' mode." if THINK_VALUES[level] else "Set 'nothink' mode.")


def _load(conversation: ChatSession, name: str) -> None:
    """Go on with another model, from the beginning; with the present one if that can't be loaded."""
    print(f"Loading model '{name}'")
    run = dataclasses.replace(conversation.run, model=model_name(name))
    try:
        load(conversation.client, run)
    except RefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        print(f"Couldn't find model '{name}'")
        return
    conversation.run = run
    conversation.clear()


def _save(conversation: ChatSession, name: str) -> None:
    """Make a model of this conversation: of its model, of what was set, and of what was said.

    What its model is told to be is one setting, so that only the latest counts.
    """
    said = [message for message in conversation.messages if message.role != "system"]
    body = {
        "model": name,
        "from": conversation.run.model,
        "system": conversation.system,
        "parameters": dict(conversation.run.options),
        "messages": [{"role": message.role, "content": message.content} for message in said],
    }
    for _ in conversation.client.stream("/api/create", {key: value for key, value in body.items() if value}, StepLine):
        pass
    print(f"Created new model '{name}'")


def _unknown(command: str) -> str:
    return f"Unknown command '{command}'. Type /? for help"
