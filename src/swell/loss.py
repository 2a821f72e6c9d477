"""How a runner can be lost."""

from enum import Enum


class Loss(Enum):
    """Why a runner ended that was not told to. The values are worded for users."""

    KILLED = "somebody killed it"
    OUT_OF_MEMORY = "the system killed it for want of memory"
    CRASHED = "it crashed"
    WORKER = "a worker that it used is gone"
    STUCK = "it gave no sign of life and was ended"
    REPLICA = "its replica is gone, frozen or cut off"
