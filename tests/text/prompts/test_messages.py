"""Chat messages."""

from swell.text.prompts.messages import prompt_messages


def test_a_prompt_as_messages() -> None:
    assert [message.role for message in prompt_messages("Hi", "Be kind.")] == ["system", "user"]
    assert [message.role for message in prompt_messages("Hi", "")] == ["user"]
