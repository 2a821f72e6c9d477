"""The processes in which templates run: what they give, and what they can't do to anybody."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from swell.errors import InvalidRequestError
from swell.server.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec
from swell.server.sandbox.job import Render
from swell.server.sandbox.renderer import Renderer

LIMIT_S = 0.3
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TOO_MUCH = "takes too long or too much memory"


def _job(template: str, **changes: Any) -> Render:
    messages = [Message(role="user", content="Hi")]
    fields = {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", "tools": [], "thinking": None}
    return Render(template=template, **{**fields, **changes})


def _run(test: Callable[[Renderer], Awaitable[None]]) -> None:
    """Afterwards none of the processes may be left."""

    async def run() -> None:
        renderer = Renderer(LIMIT_S)
        try:
            await test(renderer)
        finally:
            await renderer.close()

    asyncio.run(run())
    assert _processes() == []


def _processes() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "swell.server.sandbox" in one.cmdline()]


def test_what_a_template_writes() -> None:
    async def test(renderer: Renderer) -> None:
        call = ToolCall(id="a", function=ToolFunction(name="f", arguments={"x": [10**30, {"é": None}]}))
        job = _job(
            "{{ bos_token }}{{ messages[0].tool_calls[0].function.arguments + '|' }}{{ tools[0].function.name }}"
            "{{ enable_thinking }}",
            messages=[Message(role="assistant", tool_calls=[call])],
            tools=[Tool(function=ToolSpec(name="g")).for_template()],
            thinking=True,
        )
        assert await renderer.render(job) == '<s>{"x": [1000000000000000000000000000000, {"é": null}]}|gTrue'

    _run(test)


def test_a_refusal_is_the_requests_failure() -> None:
    async def test(renderer: Renderer) -> None:
        with pytest.raises(InvalidRequestError, match="Roles must alternate"):
            await renderer.render(_job("{{ raise_exception('Roles must alternate') }}"))
        assert await renderer.render(_job("x")) == "x"
        assert len(_processes()) == 1

    _run(test)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 2000000000 }}",
        "{% set ns = namespace(t='a') %}{% for i in range(40) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
        "{{ '%02000000000d' % 1 }}",
        "{{ 'a' * 100000000 }}",
        LOOPS,
    ],
)
def test_bombs_hit_nobody_else(template: str) -> None:
    async def test(renderer: Renderer) -> None:
        bomb, others = asyncio.create_task(renderer.render(_job(template))), []
        while not bomb.done():
            others.append(await renderer.render(_job("{{ messages[0].content }}")))
            await asyncio.sleep(0.01)
        with pytest.raises(InvalidRequestError):
            await bomb
        assert set(others) <= {"Hi"}

    _run(test)


def test_who_took_too_long_is_not_tried_again() -> None:
    async def test(renderer: Renderer) -> None:
        with pytest.raises(InvalidRequestError, match=TOO_MUCH):
            await renderer.render(_job(LOOPS))
        assert _processes() == []
        with pytest.raises(InvalidRequestError, match=TOO_MUCH):
            await renderer.render(_job(LOOPS))
        assert _processes() == []

    _run(test)


def test_a_client_that_leaves_ends_its_rendering() -> None:
    async def test(renderer: Renderer) -> None:
        await renderer.render(_job("x"))
        (process,) = _processes()
        bomb = asyncio.create_task(renderer.render(_job(LOOPS)))
        await asyncio.sleep(0.05)
        bomb.cancel()
        await asyncio.wait([bomb])
        assert bomb.cancelled()
        assert not process.is_running()
        assert await renderer.render(_job("y")) == "y"

    _run(test)


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_process_that_somebody_ends_is_replaced(is_busy: bool) -> None:
    async def test(renderer: Renderer) -> None:
        await renderer.warm()
        (process,) = _processes()
        if is_busy:
            process.suspend()
        else:
            os.kill(process.pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
        job = asyncio.create_task(renderer.render(_job("x")))
        await asyncio.sleep(0.05)
        if is_busy:
            process.kill()
        assert await job == "x"

    _run(test)


def test_many_at_once_take_turns() -> None:
    async def test(renderer: Renderer) -> None:
        texts = await asyncio.gather(*(renderer.render(_job(str(number))) for number in range(40)))
        assert texts == [str(number) for number in range(40)]
        assert len(_processes()) <= 4

    _run(test)
