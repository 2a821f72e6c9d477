"""Checks of requests."""

from pathlib import Path

import pytest

from swell.errors import UnsupportedError
from swell.models.model import open_model
from swell.turns.checks import check_images


def test_images_are_refused(tiny_gguf: Path) -> None:
    model = open_model(tiny_gguf, "a:b", "registry.ollama.ai/library/a:b")

    check_images(model, [])
    with pytest.raises(UnsupportedError, match=r"^registry\.ollama\.ai/library/a:b does not support vision$"):
        check_images(model, ["aGk="])
