"""Requests as OpenTelemetry traces, one span each with its phases as children. Needs the extra `swell[otel]`."""

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from swell.metrics.events import RequestFinished, RequestOutcome, ServerEvent
from swell.metrics.observer import Metrics
from swell.settings import Settings
from swell.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

_CLOSE_S = 3.0
"""OpenTelemetry tries for ten seconds."""
_NUMBERS = {
    "gen_ai.usage.input_tokens": "prompt_tokens",
    "gen_ai.usage.output_tokens": "generated_tokens",
    "swell.cached_tokens": "cached_tokens",
    "swell.growths": "growths",
}


class Traces:
    """Makes spans of requests when they have ended; a thread of OpenTelemetry's sends them."""

    def __init__(self, metrics: Metrics, provider: "TracerProvider") -> None:
        """`provider` is this server's own, and shut down with it."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("swell", __version__)
        self._propagator = TraceContextTextMapPropagator()
        metrics.watch(self._on_event)

    async def close(self) -> None:
        """Send what is left, if the collector takes it in time."""
        closed, loop = asyncio.Event(), asyncio.get_running_loop()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=shut_down, name="traces", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await closed.wait()

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, RequestFinished) and event.model:
            self._record(event)

    def _record(self, event: RequestFinished) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        parent = self._propagator.extract({"traceparent": event.trace_parent})
        started_s = event.at_s - event.total_s
        name = f"{event.method} {event.endpoint}"
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, start_time=_ns(started_s))
        _describe(span, event)
        inside = set_span_in_context(span)
        for phase in event.phases:
            begins_s = started_s + phase.after_s
            child = self._tracer.start_span(phase.phase.value, inside, start_time=_ns(begins_s))
            if phase.detail:
                child.set_attribute("swell.recovery_step", phase.detail)
            child.end(_ns(begins_s + phase.duration_s))
        span.end(_ns(event.at_s))


def _describe(span: "Span", event: RequestFinished) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("http.request.method", event.method)
    span.set_attribute("http.route", event.endpoint)
    span.set_attribute("http.response.status_code", event.status)
    span.set_attribute("gen_ai.request.model", event.model)
    span.set_attribute("swell.request_id", event.request)
    span.set_attribute("swell.outcome", event.outcome.value)
    for attribute, name in _NUMBERS.items():
        span.set_attribute(attribute, getattr(event, name))
    if event.error:
        span.set_attribute("error.type", event.error)
    if event.outcome is RequestOutcome.SERVER_ERROR:
        span.set_status(StatusCode.ERROR)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def traces(settings: Settings, metrics: Metrics) -> Traces | None:
    """What sends traces to the collector that the settings name. None, and nothing is imported, if they name none."""
    endpoint = settings.otel_traces_endpoint
    if not endpoint and settings.otel_endpoint:
        endpoint = f"{settings.otel_endpoint.rstrip('/')}/v1/traces"
    if not endpoint or settings.otel_disabled:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("traces are asked for and can't be sent: %s; pip install 'swell[otel]'", error)
        return None
    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "swell"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return Traces(metrics, provider)
