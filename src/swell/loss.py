"""How runners are lost."""

from enum import Enum


class Loss(Enum):
    """What became of a runner that nobody meant to end."""

    KILLED = "somebody killed it"
    OUT_OF_MEMORY = "the system killed it for want of memory"
    CRASHED = "it crashed"
    WORKER = "a worker that it used is gone"
    STUCK = "it gave no sign of life and was ended"
