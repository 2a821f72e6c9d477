"""The tally and the latest numbers in Prometheus' text format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from swell.observe.numbers import ModelNumbers, Sample
from swell.observe.tally import Distributions, Tally
from swell.scheduler.schedules import ReplicaNumbers

if TYPE_CHECKING:
    from prometheus_client.core import Metric

MODEL = ("model",)
REPLICA = ("replica", "node")


class Gauge(NamedTuple):
    """A number of each model."""

    name: str
    meaning: str
    read: Callable[[ModelNumbers], float]


class ReplicaGauge(NamedTuple):
    """A number of each replica of a fleet."""

    name: str
    meaning: str
    read: Callable[[ReplicaNumbers], float]


# fmt: off
GAUGES = (
    Gauge("swell_window_used_tokens", "Tokens stored in the fullest slot.", lambda one: one.used_tokens),
    Gauge("swell_window_granted_tokens", "Tokens that the largest slot may store.", lambda one: one.granted_tokens),
    Gauge("swell_window_ceiling_tokens", "Tokens that the latest request may fill.", lambda one: one.ceiling_tokens),
    Gauge("swell_window_initial_tokens", "Tokens granted to each slot at load.", lambda one: one.initial_tokens),
    Gauge("swell_resident_bytes", "Memory of the runner, as the kernel counts it.", lambda one: one.resident_bytes),
    Gauge("swell_weights_resident_bytes", "Weights that are in host memory.", lambda one: one.weights_bytes),
    Gauge("swell_kv_resident_bytes", "Memory of the cells that were written.", lambda one: one.kv_bytes),
    Gauge("swell_kv_granted_bytes", "Memory that the cache may use.", lambda one: one.kv_granted_bytes),
    Gauge("swell_other_bytes", "Host memory that is neither weights nor cache.", lambda one: one.other_bytes),
    Gauge("swell_device_bytes", "Memory taken on devices.", lambda one: one.device_bytes),
    Gauge("swell_slots", "Slots.", lambda one: one.slots),
    Gauge("swell_slots_busy", "Slots that serve a request.", lambda one: one.slots_busy),
    Gauge("swell_threads", "Threads that computed the latest step.", lambda one: one.threads),
    Gauge("swell_threads_allowed", "Threads that may compute.", lambda one: one.threads_allowed),
    Gauge("swell_generated_tokens_per_second", "Tokens written per second just now.", lambda one: one.generated_per_s),
)
REPLICA_GAUGES = (
    ReplicaGauge("swell_replica_free_bytes", "Memory that windows could still have.", lambda one: one.free_bytes),
    ReplicaGauge("swell_replica_requests", "Requests of this front that are there.", lambda one: one.requests),
    ReplicaGauge("swell_replica_queue_length", "Requests that wait for a model there.", lambda one: one.queued),
    ReplicaGauge("swell_replica_draining", "1 if it takes no more requests.", lambda one: one.is_draining),
)
# fmt: on


class Exporter:
    """A registry of its own over one server's tally, so that several servers in one process don't mix."""

    def __init__(self, tally: Tally, latest: Callable[[], Sample]) -> None:
        """`latest` gives the numbers to show."""
        self._tally = tally
        self._latest = latest

    def scrape(self) -> bytes:
        """All metrics. What takes time was counted or measured before."""
        from prometheus_client import CollectorRegistry, generate_latest  # 20 ms, for those who are scraped

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> "Iterator[Metric]":
        """Of each metric all values, as a registry asks for them."""
        yield from self._gauges()
        yield from self._counters()
        yield from self._histograms()

    def _gauges(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        sample = self._latest()
        labels = MODEL + REPLICA if sample.replicas else MODEL
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.meaning, labels=labels)
            rows = {(self._tally.label(one.name or one.model), one.replica, one.node): one for one in sample.models}
            for values, numbers in rows.items():
                family.add_metric(values[: len(labels)], gauge.read(numbers))
            yield family
        for replica_gauge in REPLICA_GAUGES if sample.replicas else ():
            family = GaugeMetricFamily(replica_gauge.name, replica_gauge.meaning, labels=REPLICA)
            for replica in sample.replicas:
                family.add_metric((replica.replica, replica.node), replica_gauge.read(replica))
            yield family
        yield GaugeMetricFamily("swell_models_loaded", "Models that are loaded.", value=len(sample.models))
        yield GaugeMetricFamily("swell_queue_length", "Requests that wait for a model.", value=sample.queued)
        yield GaugeMetricFamily("swell_turns_active", "Answers in progress.", value=sample.active)

    def _counters(self) -> "Iterator[Metric]":
        tally = self._tally
        yield _counter("swell_window_growths", "Raises of a slot's grant.", MODEL, tally.growths)
        yield _counter("swell_window_shrinks", "Lowerings of a slot's grant.", ("model", "cause"), tally.shrinks)
        yield _counter("swell_model_loads", "Loads that have ended.", ("model", "outcome"), tally.loads)
        yield _counter("swell_model_unloads", "Models that were unloaded or lost.", ("model", "cause"), tally.unloads)
        yield _counter("swell_memory_reclaims", "Takings of memory for a model in need.", ("source",), tally.reclaims)
        yield _counter(
            "swell_recovery_steps",
            "What was tried to let answers go on.",
            ("step", "outcome"),
            tally.recovery_steps,
        )
        yield _counter("swell_prompt_tokens", "Tokens of prompts, cached ones too.", MODEL, tally.tokens("prompt"))
        yield _counter("swell_cached_tokens", "Tokens of prompts that were cached.", MODEL, tally.tokens("cached"))
        yield _counter("swell_generated_tokens", "Tokens written.", MODEL, tally.tokens("generated"))
        yield _counter("swell_requests", "Requests that have ended.", ("endpoint", "outcome"), tally.requests)

    def _histograms(self) -> "Iterator[Metric]":
        tally = self._tally
        yield _histogram(
            "swell_window_stall_seconds",
            "Time in which nothing was computed because a slot's grant changed.",
            ("store", "change"),
            tally.stall_s,
        )
        yield _histogram("swell_model_load_seconds", "Time to load a model.", MODEL, tally.load_s)
        yield _histogram("swell_queue_seconds", "Time a request waited for a model or a slot.", MODEL, tally.queue_s)
        yield _histogram(
            "swell_first_token_seconds", "Time from a request to its first token.", MODEL, tally.first_token_s
        )
        yield _histogram(
            "swell_token_interval_seconds", "Mean time between the tokens of a request.", MODEL, tally.interval_s
        )
        yield _histogram(
            "swell_worst_token_interval_seconds",
            "Longest time between two tokens of a request.",
            MODEL,
            tally.worst_interval_s,
        )
        yield _histogram(
            "swell_request_seconds", "Time of requests that asked a model.", ("endpoint",), tally.request_s
        )


def _counter(name: str, meaning: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], int]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    if any(len(values) > len(labels) for values in counts):  # in a fleet
        labels = (*labels, *REPLICA)
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, count in counts.items():
        family.add_metric((*values, "", "")[: len(labels)], count)
    return family


def _histogram(name: str, meaning: str, labels: Sequence[str], found: Distributions) -> "Metric":
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, meaning, labels=labels)
    for values, distribution in found.items():
        bounds = [*map(str, distribution.bounds), "+Inf"]
        family.add_metric(values, list(zip(bounds, distribution.cumulated(), strict=True)), distribution.sum)
    return family
