"""What is decided before a runner is started."""

import dataclasses

from swell.models.model import Model
from swell.scheduler.accounts import LedgerAccess
from swell.scheduler.estimate import MemoryEstimate
from swell.scheduler.first_grant import FirstGrant
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.runner_key import RunnerKey


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """What is loaded, as which of the model's runners, how (`options` are complete), with which entry in the books,
    what its slots are granted first, and what it is expected to take.
    """

    model: Model
    key: RunnerKey
    options: LoadOptions
    books: LedgerAccess
    first_grant: FirstGrant
    expected: MemoryEstimate
