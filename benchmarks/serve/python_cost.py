"""`python -m benchmarks.serve.python_cost`: CPU time per generated token that isn't llama.cpp's, at eight streams.

Threads are told apart by the kernel's count of their time on a CPU (schedstat). In the engine's thread llama.cpp
computes too, so the same engine runs once more in this process, with a clock around llama.cpp's functions.
"""

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from benchmarks.serve.client import Dialect, load
from benchmarks.serve.servers import Kind, Server, Setup, running
from benchmarks.serve.workloads import Workload

from swell.bench.tables import Section, as_text
from swell.kv.admission import OpenAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama import logs
from swell.llama.context import ContextShape
from swell.llama.library import api
from swell.llama.model import LlamaModel
from swell.models.catalog import Catalog
from swell.processors.allowance import Allowance
from swell.processors.governor import Governor
from swell.processors.shares import Demands
from swell.protocol.messages import Generate, StepOutput
from swell.runner.engine import Engine, EngineLimits
from swell.runner.outbox import Outbox
from swell.sampling import Sampling

_TOKENS = 200
_COMPUTES = (
    "llama_decode",
    "llama_sampler_sample",
    "llama_sampler_init_dist",
    "llama_sampler_chain_remove",
    "llama_sampler_chain_add",
    "llama_sampler_free",
)


def main(model: str = "smollm2:135m", streams: int = 8) -> None:
    """Print microseconds per generated token of a stream, by process and thread."""
    path = Catalog().find(model, allow_path=True).path
    rows = [*_of_processes(model, path, streams), ("runner: engine, without llama.cpp", _of_engine(path, streams))]
    rows.append(("all", sum(cost for _, cost in rows)))
    section = Section(
        title=f"CPU per token, {streams} streams over HTTP",
        header=("thread", "us"),
        rows=tuple((name, f"{cost * 1e6:.0f}") for name, cost in rows),
    )
    print(as_text([section]), end="")


def _of_processes(model: str, path: Path, streams: int) -> list[tuple[str, float]]:
    """Seconds per token of the server's process and of the runner's event loop."""
    setup = Setup(model_name=model, model_path=path, slots=streams, window_tokens=2048, threads=Allowance().threads())
    story = Workload(name="", script=lambda seed, client: [f"{seed} {client}: tell a long story."], predict=_TOKENS)
    with tempfile.TemporaryDirectory() as folder, running(Kind.SWELL, setup, Path(folder) / "log") as server:
        asyncio.run(load(server.url, Dialect.OLLAMA, model, story, 0, streams))
        before = _clocks(server)
        answers = asyncio.run(load(server.url, Dialect.OLLAMA, model, story, 1, streams))
        after = _clocks(server)
    tokens = sum(answer.tokens for answer in answers)
    return [(name, (after[name] - before[name]) / tokens) for name in before]


def _clocks(server: Server) -> dict[str, float]:
    (runner,) = (child for child in server.process.children() if "swell.runner" in child.cmdline())
    return {
        "server": sum(_thread_s(server.process.pid, thread.id) for thread in server.process.threads()),
        "runner: event loop": _thread_s(runner.pid, runner.pid),
    }


def _thread_s(process: int, thread: int) -> float:
    """Seconds this thread was on a CPU."""
    return int(Path(f"/proc/{process}/task/{thread}/schedstat").read_text().split()[0]) / 1e9


def _of_engine(path: Path, streams: int) -> float:
    """Seconds per token of the engine's thread outside of the functions that compute."""
    logs.route()
    delivered: list[StepOutput] = []
    ours, theirs = socket.socketpair()
    threading.Thread(target=_read, args=(theirs,), daemon=True).start()
    outbox = Outbox(ours, asyncio.new_event_loop())

    def deliver(step: StepOutput) -> None:
        delivered.append(step)
        outbox.send(step)

    with LlamaModel(path) as loaded:
        policy = GrowthPolicy(initial_cells=2048, block_cells=1024, max_cells=2048)
        shape = ContextShape(cells=2048, slots=streams, batch_tokens=256, threads=Allowance().threads())
        store = ReservedStore(loaded, shape, policy, OpenAdmission())
        governor = Governor(Demands.create(1), 0)
        limits = EngineLimits(batch_tokens=shape.batch_tokens)
        engine = Engine(store, governor, limits, deliver=deliver, reply=outbox.send)
        for number in range(streams):
            prompt = loaded.vocabulary.tokenize(f"{number}: once upon a time", add_special=True, parse_special=False)
            sampling = Sampling(seed=number, temperature=0.8)
            request = Generate(id=number, prompt=prompt, window_tokens=2048, limit_tokens=_TOKENS, sampling=sampling)
            engine.submit(request)
        with _computing() as computing_s:
            start = time.thread_time()
            finished = 0
            while finished < streams:
                engine._take_work()
                engine.step()
                finished += len(delivered[-1].finished)
            total_s = time.thread_time() - start
        store.close()
    return (total_s - computing_s()) / sum(len(step.emitted) for step in delivered)


def _read(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@contextlib.contextmanager
def _computing() -> Iterator[Callable[[], float]]:
    """Inside, a function that tells how long this thread has been computing in llama.cpp."""
    spent_ns = 0

    def timed(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal spent_ns
            start = time.thread_time_ns()
            result = function(*arguments)
            spent_ns += time.thread_time_ns() - start
            return result

        return call

    originals = {name: getattr(api, name) for name in _COMPUTES}
    for name, function in originals.items():
        setattr(api, name, timed(function))
    try:
        yield lambda: spent_ns / 1e9
    finally:
        for name, function in originals.items():
            setattr(api, name, function)


if __name__ == "__main__":
    typer.run(main)
