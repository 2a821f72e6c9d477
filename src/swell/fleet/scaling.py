"""How many replicas a fleet should have. Pure."""

import math
from collections.abc import Collection

from swell.fleet.messages import ReplicaReport

TARGET = 0.7
"""How much of what replicas can do should be wanted of them: the rest is for what comes while another one starts."""


def demand(report: ReplicaReport) -> float:
    """What is wanted of a replica, as a part of what it can do; more than 1 where requests wait.

    That is the part of its window memory that is in use, or of its slots, whichever is larger. A model that waits to be
    loaded counts as a whole replica.
    """
    stats = [model.stats for model in report.models if model.stats is not None]
    held_bytes = sum(one.kv_granted_bytes - one.kv_reclaimable_bytes for one in stats)
    memory = held_bytes / max(1, held_bytes + report.free_bytes)
    slots = sum(model.facts.slots for model in report.models)
    users = sum(model.users for model in report.models)
    return max(memory, users / slots if slots else 0.0) + float(report.queued > 0)


def desired_replicas(demands: Collection[float], least: int, most: int) -> int:
    """How many replicas should share what is wanted of those there are."""
    wanted = math.ceil(round(sum(demands) / TARGET, 6))
    return max(least, min(most, wanted))
