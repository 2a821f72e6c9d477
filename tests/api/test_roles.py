"""What templates demand of conversations, through the endpoints."""

from typing import Any

import pytest
from tests.text.prompts.demands import ASKED, BY_PLACE, KNOWN, NO_SYSTEM, ONE_CALL, SYSTEM_FIRST, WRITE, said

LOOK = {"name": "look", "parameters": {"type": "object"}}
OPENAI_LOOK = [{"type": "function", "function": LOOK}]
USED = [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]
RESULT = [{"type": "tool_result", "tool_use_id": "t1", "content": "20"}, {"type": "text", "text": "and now?"}]
TWICE = [said("user", "x"), said("assistant", "", "look", "look"), said("tool", "1"), said("tool", "2")]


@pytest.mark.parametrize(
    ("demands", "path", "body"),
    [
        (NO_SYSTEM, "/api/generate", {"prompt": "a", "system": "s"}),
        (KNOWN, "/api/chat", {"messages": [said("developer", "s"), said("user", "a")]}),
        (ONE_CALL, "/api/chat", {"messages": TWICE, "tools": OPENAI_LOOK}),
        (
            BY_PLACE,
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": text} for text in "ab"]}]},
        ),
        (BY_PLACE, "/v1/responses", {"input": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}),
        (
            BY_PLACE,
            "/v1/messages",
            {
                "max_tokens": 5,
                "tools": [{"name": "look", "input_schema": {"type": "object"}}],
                "messages": [
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": USED},
                    {"role": "user", "content": RESULT},
                ],
            },
        ),
    ],
)
def test_every_endpoint_suits_the_template(
    server: Any, make_gguf: Any, demands: str, path: str, body: dict[str, Any]
) -> None:
    model = str(make_gguf(template=f"{demands}{WRITE}{{# tools <tool_call> #}}"))
    response = server.post(path, model=model, stream=False, **body)
    assert response.status_code == 200, response.text
    assert len(server.runner.prompts) == 1


def test_a_loop_that_does_not_fit_is_refused_with_numbers(server: Any, make_gguf: Any) -> None:
    model = str(make_gguf(template=f"{SYSTEM_FIRST}{ASKED}{WRITE}"))
    server.with_window(100)
    messages = [said("system", "s"), said("user", "task"), said("assistant", "", "f"), said("tool", "1" * 200)]
    response = server.post("/api/chat", model=model, messages=messages)
    assert response.status_code == 400
    assert "exceeds the available context size: the prompt is" in response.json()["error"]
