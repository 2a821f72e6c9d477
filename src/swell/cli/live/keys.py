"""Keys that are pressed while a view is shown. Pure."""

import re
from enum import Enum


class Key(Enum):
    """What a key asks for."""

    QUIT = "quit"
    UP = "the model before"
    DOWN = "the next model"
    SORT = "another order"


HELP = "q quit  arrows choose  s sort"

_KEYS = {
    **dict.fromkeys(("q", "Q"), Key.QUIT),
    **dict.fromkeys(("\x1b[A", "\x1bOA", "\x1b[Z", "k"), Key.UP),
    **dict.fromkeys(("\x1b[B", "\x1bOB", "\t", "j"), Key.DOWN),
    **dict.fromkeys(("s", "S"), Key.SORT),
}
_PRESSED = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)


def pressed(data: bytes) -> list[Key]:
    """The keys that a terminal has sent, without those that mean nothing."""
    found = (_KEYS.get(piece) for piece in _PRESSED.findall(data.decode("latin-1")))
    return [key for key in found if key]
