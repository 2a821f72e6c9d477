"""Which of two kinds of answer a client would rather have. Pure."""

from collections.abc import Iterator

_HTML, _TEXT = "text/html", "text/plain"


def prefers_html(accept: str) -> bool:
    """Whether a header `Accept` names HTML and wants it more than plain text, as those of browsers do.

    `*/*`, which most other clients send, doesn't name it. What can't be read counts as not said.
    """
    weights = dict(_weights(accept))
    html = weights.get(_HTML, 0.0)
    return html > weights.get(_TEXT, 0.0)


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    for entry in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            yield kind, float(quality)
        except ValueError:
            continue
