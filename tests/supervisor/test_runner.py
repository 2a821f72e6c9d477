"""A runner process seen from the server, where it fails in unusual ways."""

import asyncio
import errno
import os
import socket
import sys
from typing import Any

import psutil
import pytest
import uvloop

from swell.devices import HOST_ONLY
from swell.errors import LoadDiedError, ProtocolError, RunnerLostError, UnreadError
from swell.protocol.framing import encode, requests
from swell.protocol.messages import Cancel, Emitted, Generate, Load, Pong, Reply, StepOutput
from swell.sampling import Sampling
from swell.supervisor import stream
from swell.supervisor.process import RunnerProcess
from swell.supervisor.runner import Runner

ORDER = Load(path="x", log_level=20, ledger_fd=0, ledger_entry=0, devices_fd=0, demands_fd=0)


def _files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_process_that_cannot_be_started_is_a_load_that_died(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """So it is tried again like any other one, and leaves no socket behind."""

    async def refuse(*_command: str, **_options: Any) -> None:
        raise OSError(number, os.strerror(number))

    async def run() -> None:
        files = _files()
        with pytest.raises(LoadDiedError, match="it can't be started"):
            await Runner.start(ORDER, 1.0, lambda _runner, _need: None, lambda _found: HOST_ONLY)
        assert _files() == files

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    asyncio.run(run())


async def _runner() -> tuple[Runner, socket.socket]:
    """One whose process says nothing, and where its words are expected."""
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    return Runner(RunnerProcess(process, reader, writer, []), lambda _runner, _need: None), theirs


def test_a_reply_that_nobody_understands_ends_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise whoever waits for it would wait for ever."""

    def fail(_self: Runner, _reply: Reply) -> None:
        raise KeyError("bug")

    async def run() -> None:
        runner, theirs = await _runner()
        asking = asyncio.create_task(runner.stats())
        await asyncio.sleep(0)
        with theirs:
            theirs.send(encode(Pong(1, None)))
            with pytest.raises(ProtocolError, match="bug"):
                await asking
        assert runner.lost.is_set()
        assert not psutil.pid_exists(runner.process_id)
        with pytest.raises(RunnerLostError):
            await runner.stats()
        await runner.stop()

    monkeypatch.setattr(Runner, "_dispatch", fail)
    asyncio.run(run())


def test_requests_to_a_process_that_has_just_ended_are_told_so() -> None:
    """Its connection is closed before it is known how it ended; uvloop lets nobody write to that meanwhile."""

    async def run() -> None:
        runner, theirs = await _runner()
        theirs.close()
        asking = []
        for _ in range(5):
            asking.append(asyncio.create_task(runner.stats()))
            await asyncio.sleep(0)
        runner._process.kill()
        for one in asking:
            with pytest.raises(RunnerLostError):
                await one
        await runner.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(run())


def test_a_stream_that_is_not_read_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "UNREAD_MAX", 3)

    async def run() -> None:
        runner, theirs = await _runner()
        reader, writer = await asyncio.open_unix_connection(sock=theirs)
        incoming = requests(reader)
        order = Generate(id=0, prompt=[1], window_tokens=9, limit_tokens=9, sampling=Sampling(seed=0, temperature=0))
        with runner.generating(order) as events:
            begun = await anext(incoming)
            assert isinstance(begun, Generate)
            for token in range(5):
                writer.write(encode(StepOutput(emitted=[Emitted(begun.id, token, b"x")])))
            assert await anext(incoming) == Cancel(begun.id)
            assert [event.token for event in await anext(events) if isinstance(event, Emitted)] == [0, 1, 2]
            with pytest.raises(UnreadError):
                await anext(events)
        await runner.stop()
        writer.close()
        assert [request async for request in incoming] == []

    asyncio.run(run())
