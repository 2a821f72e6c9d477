"""`pull` and `push`: models from a registry and to it; the server does it and tells how far it is."""

import os
from contextlib import closing
from http import HTTPStatus
from typing import Any

from swell.cli.client import Client
from swell.cli.errors import ConnectionLostError, PullBrokenOffError, RefusedError
from swell.cli.replies import Shown, StepLine
from swell.cli.screen import Display, open_display

_DONE = "success"


def pull(client: Client, name: str, *, insecure: bool) -> None:
    """Have the server fetch a model; returns when it is there. Raises PullBrokenOffError if the server goes away."""
    try:
        with open_display() as display:
            follow(client, "/api/pull", _body(name, insecure=insecure), display)
    except ConnectionLostError as error:
        raise PullBrokenOffError(error.reason) from error


def push(client: Client, name: str, *, insecure: bool) -> None:
    """Have the server send a model to the registry that its name says."""
    with open_display() as display:
        follow(client, "/api/push", _body(name, insecure=insecure), display)


def show_or_pull(client: Client, name: str, *, insecure: bool) -> Shown:
    """What the server knows of a model, which it fetches first if it isn't there; files aren't to be fetched."""
    try:
        return client.post("/api/show", {"model": name}, Shown)
    except RefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND or os.path.isabs(name):
            raise
    pull(client, name, insecure=insecure)
    return client.post("/api/show", {"model": name}, Shown)


def follow(client: Client, path: str, body: dict[str, Any], display: Display) -> None:
    """POST `body` to `path` and show every line of the answer. An interrupt cancels the request.

    Raises ConnectionLostError if the answer ends without success.
    """
    status = ""
    with closing(client.stream(path, body, StepLine)) as steps:
        for line in steps:
            status = line.status or status
            if line.total > 0:
                display.bar(line.digest or status, status, line.total, line.completed)
            else:
                display.step(status)
    if status != _DONE:
        raise ConnectionLostError("its answer ended too early")


def _body(name: str, *, insecure: bool) -> dict[str, Any]:
    return {"model": name, **({"insecure": True} if insecure else {})}
