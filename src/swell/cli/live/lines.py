"""A live view in lines, for files and programs: of each message only what is news. Pure."""

from collections.abc import Iterator

import msgspec

from swell.cli.live.readings import FeedMessage, FirstReading, Gone, Happening, ModelReading, ServerReading
from swell.cli.live.view import numbers, window
from swell.cli.live.watching import Watching
from swell.cli.live.wording import moment, subject, wording

_encoder = msgspec.json.Encoder()


def plain_lines(before: Watching, after: Watching, message: FeedMessage) -> Iterator[str]:
    """What `message` has changed, in words."""
    match message:
        case FirstReading() | ServerReading() if after.reading:
            for model in _changed(before, after):
                facts = ", ".join([f"window {window(model)} tokens", *numbers(after, model)])
                yield f"{moment(after.reading.at_s)} {model.model}: {facts}"
        case Happening() if after.happened != before.happened:
            yield f"{moment(message.at_s)} {subject(message)}{wording(message)}"
        case Gone() if before.gone != after.gone:
            yield f"no server, trying again: {message.reason}"


def json_lines(before: Watching, after: Watching, message: FeedMessage) -> Iterator[str]:
    """What `message` has changed, in objects."""
    match message:
        case FirstReading() | ServerReading() if after.reading:
            for model in _changed(before, after):
                yield model_json(model, after.reading.at_s)
        case Happening() if after.happened != before.happened:
            yield _encoder.encode(message).decode()
        case Gone() if before.gone != after.gone:
            yield _encoder.encode({"event": "server_gone", "error": message.reason}).decode()


def model_json(model: ModelReading, at_s: float) -> str:
    """A model as one object, without what isn't known of it."""
    known = {name: value for name, value in msgspec.to_builtins(model).items() if value not in (None, "")}
    return _encoder.encode({"at_s": at_s, **known}).decode()


def _changed(before: Watching, after: Watching) -> Iterator[ModelReading]:
    """The models that aren't as they were."""
    known = {model.model: model for model in before.models}
    return (model for model in after.models if known.get(model.model) != model)
