"""All runners that are there, being started, or leaving."""

from collections import Counter
from collections.abc import Iterator

from swell.errors import DevicesFullError, SwellError
from swell.models.model import Model
from swell.scheduler.accounts import Accounts
from swell.scheduler.policy import RunnerState, is_shortage, least_recent
from swell.scheduler.residency import Residency, State
from swell.scheduler.runner_key import RunnerKey


class Residencies:
    """The residencies by their keys, and those that have been stopped and haven't ended yet."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._staying: dict[RunnerKey, Residency] = {}
        self.leaving: set[Residency] = set()

    def __iter__(self) -> Iterator[Residency]:
        return iter(list(self._staying.values()))

    def __getitem__(self, key: RunnerKey) -> Residency:
        return self._staying[key]

    def get(self, key: RunnerKey) -> Residency | None:
        """The residency with that key; None if there is none."""
        return self._staying.get(key)

    def add(self, residency: Residency) -> None:
        """A runner is being started."""
        self._staying[residency.plan.key] = residency

    def begin_to_leave(self, residency: Residency) -> None:
        """A runner is being ended; its key is free for the next one."""
        del self._staying[residency.plan.key]
        self.leaving.add(residency)

    def idle(self, *, but: Model | None = None) -> list[Residency]:
        """Those that nobody uses, without those of one model."""
        key = but.key if but is not None else None
        return [one for one in self if one.is_idle and one.plan.key.model != key]

    def outdated(self, model: Model) -> list[Residency]:
        """Those of files that were where `model` has others now."""
        keys = {file.path: file.key for file in model.files}
        return [one for one in self if any(keys.get(file.path, file.key) != file.key for file in one.model.files)]

    def loading(self) -> list[Residency]:
        """Those whose runner isn't ready yet."""
        return [one for one in self if one.state is State.LOADING]

    def count_users(self) -> int:
        """How many requests use some model or wait for it to be loaded."""
        return sum(residency.users for residency in self)

    def count_joined(self) -> int:
        """How many requests wait for a load that another one began."""
        return sum(residency.users - 1 for residency in self.loading() if residency.users)

    def states(self) -> list[RunnerState]:
        """What the policy decides on."""
        staying = [
            RunnerState(
                key=residency.plan.key,
                users=residency.users,
                last_use=residency.last_use,
                unstored_bytes=self._accounts.entry(residency.plan.books).unused_bytes,
            )
            for residency in self
        ]
        return staying + [
            RunnerState(key=residency.plan.key, users=0, last_use=residency.last_use, is_leaving=True)
            for residency in self.leaving
        ]

    def coming_bytes(self) -> int:
        """What runners that are being loaded are expected to take beyond what they have booked."""
        return sum(
            max(0, one.plan.expected.total_bytes - self._accounts.booked_bytes(one.plan.books))
            for one in self.loading()
        )

    def held_by_idle(self) -> dict[str, int]:
        """Bytes that idle models have on each device."""
        held = Counter[str]()
        for residency in self.idle():
            held.update(residency.device_bytes)
        return held

    def victim_of(self, error: SwellError) -> Residency | None:
        """Who should make way after a load that ended with `error`; None if that would not help."""
        idle = [state for state in self.states() if state.is_idle]
        if isinstance(error, DevicesFullError):
            idle = [state for state in idle if self[state.key].device_bytes]
        elif not is_shortage(error):
            return None
        victim = least_recent(idle)
        return self[victim.key] if victim else None
