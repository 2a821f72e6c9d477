"""Which of a model's runners: the one that its requests share, or one beside it for a request that may be dangerous."""

from enum import Enum
from pathlib import Path
from typing import NamedTuple


class Ward(Enum):
    """In quarantine there is one request at a time, so that a runner's death there harms nobody else and is proof."""

    COMMON = "common"
    QUARANTINE = "quarantine"


class RunnerKey(NamedTuple):
    """A runner by its weights' path and its ward. There is at most one of each."""

    path: Path
    ward: Ward = Ward.COMMON
