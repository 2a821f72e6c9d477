"""Chat messages."""

from pathlib import Path

import msgspec
import pytest

from swell.errors import UnsupportedError
from swell.server.models.model import open_model
from swell.server.prompts.messages import Message, prompt_messages, refuse_images


def test_a_plain_message_for_a_template() -> None:
    assert Message(role="USER", content="Hi").for_template() == {"role": "user", "content": "Hi"}


def test_tool_calls_and_results_for_a_template() -> None:
    call = msgspec.convert(
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}]}, Message
    )
    assert call.for_template() == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
    }
    result = Message(role="tool", content="2", tool_name="f", tool_call_id="c1")
    assert result.for_template() == {"role": "tool", "content": "2", "name": "f", "tool_call_id": "c1"}


def test_a_prompt_as_messages() -> None:
    assert [message.role for message in prompt_messages("Hi", "Be kind.")] == ["system", "user"]
    assert [message.role for message in prompt_messages("Hi", "")] == ["user"]


def test_images_are_refused(tiny_gguf: Path) -> None:
    model = open_model(tiny_gguf, "a:b", "registry.ollama.ai/library/a:b")

    refuse_images(model, [])
    with pytest.raises(UnsupportedError, match=r"^registry\.ollama\.ai/library/a:b does not support vision$"):
        refuse_images(model, ["aGk="])
