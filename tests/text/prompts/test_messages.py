"""Chat messages."""

from pathlib import Path

import pytest

from swell.errors import UnsupportedError
from swell.models.model import open_model
from swell.text.prompts.messages import prompt_messages, refuse_images


def test_a_prompt_as_messages() -> None:
    assert [message.role for message in prompt_messages("Hi", "Be kind.")] == ["system", "user"]
    assert [message.role for message in prompt_messages("Hi", "")] == ["user"]


def test_images_are_refused(tiny_gguf: Path) -> None:
    model = open_model(tiny_gguf, "a:b", "registry.ollama.ai/library/a:b")

    refuse_images(model, [])
    with pytest.raises(UnsupportedError, match=r"^registry\.ollama\.ai/library/a:b does not support vision$"):
        refuse_images(model, ["aGk="])
