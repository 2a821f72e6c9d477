"""The models that requests in progress have to do with, whether a runner has them at the moment or not."""

from pathlib import Path

from swell.models.model import Model


class ModelHolds:
    """Each is held by a request from its beginning to its end: also between a runner that was lost and the next."""

    def __init__(self) -> None:
        self._models: dict[object, Model] = {}

    def hold(self, holder: object, model: Model) -> None:
        """`holder` may need the files of `model` until it says `release`."""
        self._models[holder] = model

    def release(self, holder: object) -> None:
        """`holder` has ended; nothing happens if it said so before."""
        self._models.pop(holder, None)

    def files(self) -> set[Path]:
        """The files that are needed. Safe to ask from any thread."""
        return {path for model in list(self._models.values()) for path in model.paths}
