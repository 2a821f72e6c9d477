"""Which of a model's runners: the one that its requests share, or one beside it for a request that may be dangerous."""

from enum import Enum
from typing import NamedTuple


class RunnerRole(Enum):
    """In quarantine there is one request at a time, so that a runner's death there harms nobody else and is proof."""

    SHARED = "shared"
    QUARANTINE = "quarantine"


class RunnerKey(NamedTuple):
    """A runner by its model (`Model.key`) and its role. There is at most one of each."""

    model: str
    role: RunnerRole = RunnerRole.SHARED
