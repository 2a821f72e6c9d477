"""Counts and histograms of what happened, in the dimensions in which Prometheus shows them. Knows no Prometheus."""

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence

from swell.metrics.events import (
    LoadEnded,
    LoadOutcome,
    MemoryReclaimed,
    ModelEvent,
    ModelUnloaded,
    RecoveryEnded,
    RequestFinished,
    ServerEvent,
    TurnEnded,
    WindowGrown,
    WindowShrunk,
)
from swell.metrics.observer import Metrics

MODELS_MAX = 100
OTHER_MODELS = "other"
"""What stands for all models beyond the first hundred: files are models too, and there may be any number of them."""

_FAST_S = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)
_WAITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_STALLS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LONG_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class Distribution:
    """How many values were at most as large as each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """One more value; a bound counts those that equal it."""
        self._counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[int]:
        """For each bound, and last for all values, how many were no larger."""
        total, counts = 0, []
        for count in self._counts:
            total += count
            counts.append(total)
        return counts


class Distributions(defaultdict[tuple[str, ...], Distribution]):
    """One for each combination of labels."""

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(lambda: Distribution(bounds))


class Tally:
    """Counts from when the server started. Keys are the values of labels; what has happened in a fleet has those of the
    replica and its node, too.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.growths = Counter[tuple[str, ...]]()
        self.shrinks = Counter[tuple[str, ...]]()
        self.loads = Counter[tuple[str, ...]]()
        self.unloads = Counter[tuple[str, ...]]()
        self.reclaims = Counter[tuple[str, ...]]()
        self.recovery_steps = Counter[tuple[str, ...]]()
        self.requests = Counter[tuple[str, ...]]()
        self.stall_s = Distributions(_STALLS_S)
        self.load_s = Distributions(_LONG_S)
        self.queue_s = Distributions(_WAITS_S)
        self.first_token_s = Distributions(_WAITS_S)
        self.interval_s = Distributions(_FAST_S)
        self.worst_interval_s = Distributions(_FAST_S)
        self.request_s = Distributions(_WAITS_S)
        self._metrics = metrics
        self._ended_tokens = {kind: Counter[tuple[str, ...]]() for kind in ("prompt", "cached", "generated")}
        self._models: set[str] = set()
        metrics.watch(self._on_event)

    def label(self, model: str) -> str:
        """The label of a model: its name, unless too many others had theirs before."""
        if model not in self._models and len(self._models) >= MODELS_MAX:
            return OTHER_MODELS
        self._models.add(model)
        return model

    def tokens(self, kind: str) -> Counter[tuple[str, ...]]:
        """Tokens of prompts, cached ones, or generated ones, by model; those of turns in progress are among them."""
        counts = self._ended_tokens[kind].copy()
        for turn in self._metrics.turns:
            counts[(self.label(turn.model),)] += getattr(turn, f"{kind}_tokens")
        return counts

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case WindowGrown():
                self.growths[self.label(event.model), *_place(event)] += 1
                self.stall_s[event.store, "growth"].add(event.stall_s)
            case WindowShrunk():
                self.shrinks[self.label(event.model), event.cause.value, *_place(event)] += 1
                self.stall_s[event.store, "shrink"].add(event.stall_s)
            case LoadEnded():
                self.loads[self.label(event.model), event.outcome.value, *_place(event)] += 1
                if event.outcome is LoadOutcome.LOADED:
                    self.load_s[(self.label(event.model),)].add(event.load_s)
            case ModelUnloaded():
                self.unloads[self.label(event.model), event.cause.value, *_place(event)] += 1
            case MemoryReclaimed():
                self.reclaims[event.source, *_place(event)] += 1
            case RecoveryEnded():
                self.recovery_steps[event.step, event.outcome.value] += 1
            case TurnEnded():
                model = (self.label(event.model),)
                self._ended_tokens["prompt"][model] += event.prompt_tokens
                self._ended_tokens["cached"][model] += event.cached_tokens
                self._ended_tokens["generated"][model] += event.generated_tokens
            case RequestFinished():
                self._on_request(event)

    def _on_request(self, event: RequestFinished) -> None:
        self.requests[event.endpoint, event.outcome.value] += 1
        if not event.model:
            return
        model = (self.label(event.model),)
        self.request_s[(event.endpoint,)].add(event.total_s)
        self.queue_s[model].add(event.queue_s)
        if event.first_token_s is not None:
            self.first_token_s[model].add(event.first_token_s)
        if event.token_interval_s is not None and event.worst_interval_s is not None:
            self.interval_s[model].add(event.token_interval_s)
            self.worst_interval_s[model].add(event.worst_interval_s)


def _place(event: ModelEvent) -> tuple[str, ...]:
    return (event.replica, event.node) if event.replica else ()
