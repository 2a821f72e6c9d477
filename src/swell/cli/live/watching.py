"""What a live view knows, and how that changes with what comes from the server and from the keyboard. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from swell.cli.live.readings import (
    FeedMessage,
    FirstReading,
    Gone,
    Happening,
    ModelReading,
    PastModel,
    PastReading,
    ServerReading,
)
from swell.cli.live.timeline import SPAN_S, WindowMoment
from swell.cli.live.wording import wording

HAPPENINGS_KEPT = 200
SPEED_S = 4.0
"""Over so long a time speeds are taken: prompts are read 256 tokens at a time, which may take a second."""


class Order(Enum):
    """By what models are sorted."""

    NAME = "name"
    MEMORY = "memory"
    SPEED = "speed"
    WINDOW = "window"


_KEYS: Mapping[Order, Callable[[ModelReading], float]] = {
    Order.NAME: lambda _: 0.0,
    Order.MEMORY: lambda model: model.resident_bytes + model.device_bytes,
    Order.SPEED: lambda model: (model.generated_per_s or 0.0) + (model.read_per_s or 0.0),
    Order.WINDOW: lambda model: model.granted_tokens or 0,
}
"""Of two models the one with more comes first; names decide between equals."""


@dataclass(frozen=True)
class Watching:
    """The models whose names begin with `prefix`, what happened to them, and how the user wants to see them.

    `reading` is None before the first one, `recent` are the last ones, `past` is what a chart shows. `gone` says why
    there is no server now. `chosen` is a model's name.
    """

    prefix: str = ""
    reading: ServerReading | None = None
    recent: tuple[ServerReading, ...] = ()
    past: tuple[PastReading, ...] = ()
    happened: tuple[Happening, ...] = ()
    gone: str = ""
    order: Order = Order.NAME
    chosen: str = ""

    def told(self, message: FeedMessage) -> "Watching":
        """What is known after `message`."""
        match message:
            case FirstReading():
                kept = tuple(one for one in message.events if self._shows(one))[-HAPPENINGS_KEPT:]
                begun = replace(self, happened=kept or self.happened, past=message.history or self.past, recent=())
                return begun._read(message.now)
            case ServerReading():
                return self._read(message)
            case Happening():
                if not self._shows(message):
                    return self
                return replace(self, happened=(*self.happened, message)[-HAPPENINGS_KEPT:])
            case Gone():
                return replace(self, gone=message.reason)

    @property
    def models(self) -> tuple[ModelReading, ...]:
        """The models in their order."""
        if self.reading is None:
            return ()
        key = _KEYS[self.order]
        return tuple(sorted(self.reading.models, key=lambda model: (-key(model), model.model)))

    @property
    def chosen_index(self) -> int:
        """Where the chosen model is among `models`; the first one, if it is gone."""
        names = [model.model for model in self.models]
        return names.index(self.chosen) if self.chosen in names else 0

    def choosing(self, steps: int) -> "Watching":
        """The model so many steps further down is chosen; from the last one it goes on with the first."""
        if not self.models:
            return self
        return replace(self, chosen=self.models[(self.chosen_index + steps) % len(self.models)].model)

    def sorted_otherwise(self) -> "Watching":
        """Sorted by the next order; the choice stays with its model."""
        orders = list(Order)
        chosen = self.models[self.chosen_index].model if self.models else ""
        return replace(self, order=orders[(orders.index(self.order) + 1) % len(orders)], chosen=chosen)

    def speed(self, model: ModelReading) -> tuple[float, float]:
        """Tokens that were read and written per second of late."""
        if model.slots_busy == 0:
            return 0.0, 0.0
        for reading in self.recent[:-1]:
            for before in reading.models:
                elapsed_s = self.recent[-1].at_s - reading.at_s
                if before.model == model.model and elapsed_s > 0:
                    read, written = (new - old for new, old in zip(_counted(model), _counted(before), strict=True))
                    return max(0.0, read / elapsed_s), max(0.0, written / elapsed_s)
        return model.read_per_s or 0.0, model.generated_per_s or 0.0

    def moments(self, name: str) -> list[WindowMoment]:
        """How a model's window was, as far as that is known; it was empty while the model wasn't loaded."""
        found = []
        for reading in self.past:
            of_model = (model for model in reading.models if model.model == name)
            model = next(of_model, PastModel(name, 0, 0))
            found.append(WindowMoment(reading.at_s, model.used_tokens, model.granted_tokens))
        return found

    def _read(self, reading: ServerReading) -> "Watching":
        mine = tuple(model for model in reading.models if self._matches(model.model))
        now = ServerReading(at_s=reading.at_s, queued=reading.queued, active=reading.active, models=mine)
        recent = (*(one for one in self.recent if one.at_s > now.at_s - SPEED_S), now)
        known = (
            PastModel(model.model, model.used_tokens, model.granted_tokens)
            for model in mine
            if model.used_tokens is not None and model.granted_tokens is not None
        )
        past = (*self.past, PastReading(now.at_s, tuple(known)))
        first = next((index for index, one in enumerate(past) if one.at_s > now.at_s - SPAN_S), 0)
        return replace(self, reading=now, recent=recent, past=past[max(0, first - 1) :], gone="")

    def _shows(self, happening: Happening) -> bool:
        return bool(wording(happening)) and self._matches(happening.model)

    def _matches(self, name: str) -> bool:
        return name.lower().startswith(self.prefix.lower())


def _counted(model: ModelReading) -> tuple[int, int]:
    """Tokens read and written since the model was loaded."""
    return (model.prompt_tokens or 0) - (model.cached_tokens or 0), model.generated_tokens or 0
