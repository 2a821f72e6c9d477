"""Making prompts fit."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from swell.errors import InvalidRequestError, PromptTooLongError
from swell.text.prompts.fitting import drop_oldest, fits, truncate_tokens
from swell.text.prompts.messages import Message, ToolCall, ToolFunction


@given(st.integers(0, 300), st.integers(2, 200), st.integers(-1, 400))
@example(5, 4, 4)
@example(4, 4, 100)
@example(2, 2, 0)
@example(2, 2, -1)
def test_truncation(length: int, window: int, keep: int) -> None:
    prompt = list(range(length))
    cut = truncate_tokens(prompt, window, keep)

    if fits(length, window):
        assert cut == prompt
        return
    assert 1 <= len(cut) <= window - 1
    kept = min(window if keep < 0 else keep, max(window - 4, 0))
    assert cut[:kept] == prompt[:kept]
    tail = len(cut) - kept
    assert tail >= 1
    assert cut[kept:] == prompt[-tail:]
    assert len(cut) == window - max((window - kept) // 2, 1)


def test_no_window_at_all() -> None:
    with pytest.raises(PromptTooLongError):
        truncate_tokens([1, 2], 1, 0)


def test_truncation_says_the_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        truncate_tokens(list(range(100)), 50, 4)
    assert "73 tokens from the middle of a prompt of 100" in caplog.text
    assert "window of 50" in caplog.text


def _conversation(sizes: Sequence[int], systems: Sequence[bool]) -> list[Message]:
    return [
        Message(role="System" if system else "user", content="x" * size)
        for size, system in zip(sizes, systems, strict=True)
    ]


async def _count(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=20), st.integers(1, 100))
def test_the_smallest_possible_number_of_messages_is_dropped(parts: list[tuple[int, bool]], window: int) -> None:
    messages = _conversation([size for size, _ in parts], [system for _, system in parts])
    kept = list(asyncio.run(drop_oldest(messages, window, _count)))

    asked = max((index for index, message in enumerate(messages) if not message.is_system), default=0)

    def cut(start: int) -> list[Message]:
        return [one for index, one in enumerate(messages) if index >= start or one.is_system or index == asked]

    fitting = [start for start in range(len(messages)) if fits(asyncio.run(_count(cut(start))), window)]
    assert kept == cut(fitting[0] if fitting else len(messages) - 1)
    assert kept[-1] is messages[-1]


def test_few_measurements_for_a_long_conversation(caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def count(messages: Sequence[Message]) -> int:
        nonlocal calls
        calls += 1
        return await _count(messages)

    with caplog.at_level(logging.WARNING):
        kept = asyncio.run(drop_oldest(_conversation([10] * 1000, [False] * 1000), 101, count))
    assert len(kept) == 10
    assert calls < 15
    assert "dropped the oldest 990 of 1000 messages" in caplog.text


@given(st.lists(st.integers(0, 20), min_size=2, max_size=15), st.integers(1, 60))
def test_a_cut_that_the_template_refuses_is_no_choice(sizes: list[int], window: int) -> None:
    messages = [
        Message(role="user" if index % 2 == 0 else "assistant", content="x" * size) for index, size in enumerate(sizes)
    ]
    assume(len(messages) % 2 == 1)

    async def count(some: Sequence[Message]) -> int:
        if some[0].role != "user":
            raise InvalidRequestError("roles must alternate")
        return await _count(some)

    kept = asyncio.run(drop_oldest(messages, window, count))
    assert kept[0].role == "user"
    starts = [start for start in range(0, len(messages), 2) if fits(sum(sizes[start:]), window)]
    assert len(messages) - len(kept) == (starts[0] if starts else len(messages) - 1)


def _loop(steps: int) -> list[Message]:
    """A task, and calls whose results say which they answer."""
    messages = [Message(role="system", content="s"), Message(role="user", content="before")]
    messages += [Message(role="assistant", content="done"), Message(role="user", content="task")]
    for step in range(steps):
        call = ToolCall(id=str(step), function=ToolFunction(name="f"))
        messages += [Message(role="assistant", content="xx", tool_calls=[call, call])]
        messages += [Message(role="tool", content="x" * 10, tool_call_id=str(step))] * 2
    return messages


@given(st.integers(1, 20), st.integers(1, 500), st.booleans(), st.booleans())
def test_a_loop_keeps_its_task_and_whole_steps(steps: int, window: int, reminded: bool, answered: bool) -> None:
    messages = _loop(steps)
    messages += [Message(role="user", content="hurry")] * reminded + [
        Message(role="assistant", content="so")
    ] * answered
    kept = list(asyncio.run(drop_oldest(messages, window, _count)))

    contents = [message.content for message in kept]
    assert contents[0] == "s"
    assert "task" in contents
    assert ("hurry" in contents) == reminded
    assert kept[-1] is messages[-1]
    called = [message.tool_calls[0].id for message in kept if message.tool_calls]
    assert [message.tool_call_id for message in kept if message.role == "tool"] == [id for id in called for _ in "12"]
    assert called == [str(step) for step in range(steps - len(called), steps)]
    if not fits(asyncio.run(_count(kept)), window):
        assert called == ([] if reminded or answered else [str(steps - 1)])


def test_few_measurements_where_a_template_refuses_every_cut() -> None:
    calls = 0
    messages = _conversation([10] * 1000, [False] * 1000)

    async def count(some: Sequence[Message]) -> int:
        nonlocal calls
        calls += 1
        if len(some) < len(messages):
            raise InvalidRequestError("no user query found")
        return await _count(some)

    with pytest.raises(PromptTooLongError, match="10000 tokens"):
        asyncio.run(drop_oldest(messages, 101, count))
    assert calls < 25


def test_a_conversation_refused_in_full_is_the_clients_to_correct() -> None:
    async def refuse(_messages: Sequence[Message]) -> int:
        raise InvalidRequestError("no")

    with pytest.raises(InvalidRequestError):
        asyncio.run(drop_oldest(_conversation([1, 1], [False, False]), 10, refuse))
