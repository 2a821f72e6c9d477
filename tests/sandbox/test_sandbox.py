"""The processes in which templates run and schemas are checked: what they give, and what they can't do to anybody."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
from tests.waiting import is_alive, settle, until

from swell.errors import InvalidRequestError, InvalidTemplateError
from swell.sandbox.job import Job
from swell.sandbox.processes import Processes
from swell.sandbox.renderer import Renderer
from swell.sandbox.rendering_jobs import Render, RenderGap, RenderGo
from swell.sandbox.schemas import SCHEMA_CHARACTERS_MAX, SchemaChecker
from swell.text.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec

LIMIT_S = 0.3
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TOO_MUCH = "takes too long or too much memory"
SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'


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
    return [one for one in psutil.Process().children() if "swell.sandbox" in one.cmdline()]


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


def _go_job(template: str) -> RenderGo:
    return RenderGo(template=template, messages=[Message(role="user", content="Hi")], tools=[], thinking=None)


def test_what_a_template_in_gos_language_writes() -> None:
    async def test(renderer: Renderer) -> None:
        call = ToolCall(id="a", function=ToolFunction(name="f", arguments={"x": [10**30, {"é": None}]}))
        job = RenderGo(
            template="{{ .Tools }}{{ range .Messages }}{{ .ToolCalls }}{{ end }}{{ .ThinkLevel }}",
            messages=[Message(role="assistant", tool_calls=[call])],
            tools=[Tool(function=ToolSpec(name="g"))],
            thinking="low",
        )
        assert await renderer.render(job) == (
            '[{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}]'
            '[{a {0 f {"x":[1000000000000000000000000000000,{"é":null}]}}}]low'
        )
        gap = RenderGap(template="{{ .Suffix }}<{{ .Prompt }}", prompt="a", suffix="b", thinking=None)
        assert await renderer.render(gap) == "b<a"

    _run(test)


def test_a_template_in_gos_language_that_can_not_be_read_keeps_its_error() -> None:
    async def test(renderer: Renderer) -> None:
        with pytest.raises(InvalidTemplateError) as caught:
            await renderer.render(_go_job("\n{{ if }}"))
        assert caught.value.line == 2
        assert len(_processes()) == 1

    _run(test)


@pytest.mark.parametrize(
    "template",
    [
        "{{ range 999999 }}{{ range 999999 }}{{ range 999999 }}{{ end }}{{ end }}{{ end }}",
        '{{ $x := "aa" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}{{ len $x }}',
        '{{ $x := "aa" }}{{ range 60 }}{{ $x = printf "%q" $x }}{{ end }}{{ len $x }}',
        '{{ range 99 }}{{ printf "%999999d" 1 }}{{ end }}',
        '{{ define "x" }}{{ template "x" . }}{{ template "x" . }}{{ end }}{{ template "x" . }}',
        "{{ range $i, $_ := .Messages }}{{ range 99999999 }}{{ $.Messages }}{{ end }}{{ end }}",
        "{{ .Prompt.Nothing }}",
    ],
)
def test_bombs_in_gos_language_hit_nobody_else(template: str) -> None:
    async def test(renderer: Renderer) -> None:
        bomb, others = asyncio.create_task(renderer.render(_go_job(template))), []
        while not bomb.done():
            others.append(await renderer.render(_go_job("{{ .Prompt }}")))
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
        computed_s = process.cpu_times().user
        await until(lambda: process.cpu_times().user > computed_s, "it computes")
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
            await until(lambda: not is_alive(process), "it has ended")
        job = asyncio.create_task(renderer.render(_job("x")))
        await settle()
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


def _doubling(levels: int) -> str:
    """A short schema for a document of 2 to the power of `levels` parts."""
    definitions: dict[str, Any] = {f"d{levels}": {"type": "object"}}
    for level in range(levels):
        part = {"$ref": f"#/$defs/d{level + 1}", "type": "object"}
        definitions[f"d{level}"] = {"type": "object", "properties": {"l": part, "r": part}, "required": ["l", "r"]}
    return json.dumps({"$defs": definitions, "$ref": "#/$defs/d0"})


def _check(test: Callable[[SchemaChecker], Awaitable[None]]) -> None:
    """Afterwards none of the processes may be left."""

    async def run() -> None:
        checker = SchemaChecker(LIMIT_S)
        try:
            await test(checker)
        finally:
            await checker.close()

    asyncio.run(run())
    assert _processes() == []


def test_a_schema_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []
    run = Processes.run

    async def counted(processes: Processes, job: Job) -> str:
        jobs.append(job)
        return await run(processes, job)

    async def test(checker: SchemaChecker) -> None:
        for _ in range(3):
            await checker.check(SCHEMA)
        assert len(jobs) == 1

    monkeypatch.setattr(Processes, "run", counted)
    _check(test)


@pytest.mark.parametrize(
    "schema",
    ['{"type": "bogus"}', "nonsense", '{"$ref": "#/nowhere"}', '{"type": "string", "pattern": "("}', _doubling(40)],
)
def test_a_schema_that_can_not_be_followed_hits_nobody_else(schema: str) -> None:
    async def test(checker: SchemaChecker) -> None:
        bomb, others = asyncio.create_task(checker.check(schema)), 0
        while not bomb.done():
            await checker.check(SCHEMA.replace("a", f"a{others}"))
            others += 1
            await asyncio.sleep(0.01)
        with pytest.raises(InvalidRequestError, match="invalid format"):
            await bomb
        assert others > 0

    _check(test)


def test_a_schema_that_is_too_long_is_refused_unread() -> None:
    async def test(checker: SchemaChecker) -> None:
        with pytest.raises(InvalidRequestError, match=str(SCHEMA_CHARACTERS_MAX)):
            await checker.check(json.dumps({"const": "x" * SCHEMA_CHARACTERS_MAX}))
        assert _processes() == []

    _check(test)
