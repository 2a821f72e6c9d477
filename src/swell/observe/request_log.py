"""One line of the log for every request that has ended."""

import logging

from swell.metrics.events import RequestFinished, RequestOutcome, ServerEvent
from swell.metrics.observer import Metrics

log = logging.getLogger("swell.requests")

_DIGITS = 3
_WRONG = (RequestOutcome.CLIENT_ERROR, RequestOutcome.SERVER_ERROR)
_UNSAID = ("event", "at_s", "phases", "trace_parent")


class RequestLog:
    """Requests that asked a model, and those that went wrong, are logged by default; all others with `OLLAMA_DEBUG`."""

    def __init__(self, metrics: Metrics) -> None:
        metrics.watch(self._on_event)

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, RequestFinished):
            is_said = event.model or event.outcome in _WRONG
            level = logging.INFO if is_said else logging.DEBUG
            if log.isEnabledFor(level):
                log.log(level, "%s", line(event), extra={"fields": fields(event)})


def fields(event: RequestFinished) -> dict[str, object]:
    """The numbers of a request by their names, those that say something."""
    found: dict[str, object] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name in _UNSAID or value in (None, "", ()):
            continue
        if not event.model and not isinstance(value, str | RequestOutcome) and name not in ("status", "total_s"):
            continue
        if isinstance(value, float):
            value = round(value, _DIGITS)
        found[name] = value.value if isinstance(value, RequestOutcome) else value
    return found


def line(event: RequestFinished) -> str:
    """The same for people: always one line, though a file may be called anything."""
    words = [event.method, event.endpoint, str(event.status or "-"), event.outcome.value]
    if event.error:
        words.append(event.error)
    if event.model:
        first = "-" if event.first_token_s is None else f"{event.first_token_s:.2f} s"
        words += [
            f"model={event.model if event.model.isprintable() else repr(event.model)}",
            f"prompt={event.prompt_tokens} cached={event.cached_tokens} generated={event.generated_tokens}",
            f"queue={event.queue_s:.2f} s load={event.load_s:.2f} s read={event.prompt_s:.2f} s first={first}",
            f"write={event.generate_s:.2f} s growths={event.growths}",
        ]
    if event.recovery_steps:
        words.append(f"recovery={'; '.join(event.recovery_steps)}")
    return " ".join([*words, f"total={event.total_s:.2f} s", f"id={event.request}"])
