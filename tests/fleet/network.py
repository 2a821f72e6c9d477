"""A network of its own for one machine, with a cable that can be pulled. Needs root, as control groups do."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

_HERE, _THERE = "198.51.100.1", "198.51.100.2"
"""Of a block that is set aside for documents, so that it is nobody's."""


@dataclass(frozen=True)
class Network:
    """A network namespace called `name`, in which a machine has `address`."""

    name: str
    address: str

    def pull(self) -> None:
        """Pull the cable: nothing arrives any more, and nobody is told."""
        _ip("-n", self.name, "link", "set", _end_there(self.name), "down")

    def plug(self) -> None:
        """Plug it in again."""
        _ip("-n", self.name, "link", "set", _end_there(self.name), "up")


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """One that can be reached from here, and nothing else from there."""
    name = f"swell{os.getpid()}"
    there = _end_there(name)
    _ip("netns", "add", name)
    try:
        _ip("link", "add", name, "type", "veth", "peer", "name", there, "netns", name)
        _ip("address", "add", f"{_HERE}/30", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "address", "add", f"{_THERE}/30", "dev", there)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", there, "up")
        yield Network(name, _THERE)
    finally:
        _ip("netns", "delete", name)  # and the cable with it


def _end_there(name: str) -> str:
    return f"{name}b"  # names of devices have 15 letters at most


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
