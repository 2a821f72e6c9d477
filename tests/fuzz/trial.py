"""One file on the way that it takes through server and runner, in a process of its own."""

import dataclasses
import enum
import os
import queue
import re
import resource
import select
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from swell.errors import ModelLoadError, SwellError
from swell.kv.selfcheck import reserved_refusal
from swell.llama import amx, library, logs
from swell.memory.device_ledger import DeviceLedger
from swell.memory.ledger import Ledger
from swell.models.model import open_model
from swell.processors.shares import Demands
from swell.protocol.messages import (
    Embed,
    Embedded,
    Failed,
    Generate,
    Load,
    Reply,
    StepOutput,
    Tokenize,
    Tokenized,
)
from swell.runner.loading import load_model
from swell.runner.tokenizer import Tokenizer
from swell.sampling import Sampling

CPU_MAX_S = 20
"""Of a child's processor time; most take 0.05 s."""
PATIENCE_S = 300.0
MAX_BYTES = 1 << 30
"""Tiny models take 60 MB."""
_LOOK_S = 0.02
_TEXT = "Why is the sky blue? \u00e9\u4e16\U0001f600 <|im_end|></s>\n 1234"
_REFUSED, _FAILED, _BUG = 3, 4, 70
_KEPT_BYTES = 3000


class Outcome(enum.Enum):
    """What became of a file. The first three are all right."""

    REFUSED = "refused by the server"
    FAILED = "refused by llama.cpp in words"
    WORKS = "works"
    CRASHED = "crashed"
    BUG = "an exception of the runner's"
    HUNG = "hung"
    MEMORY = "memory"

    @property
    def is_sound(self) -> bool:
        return self in (Outcome.REFUSED, Outcome.FAILED, Outcome.WORKS)


@dataclasses.dataclass(frozen=True)
class Trial:
    """`phase` is how far the file came; `said` what it ended with."""

    outcome: Outcome
    phase: str
    said: str

    @property
    def kind(self) -> str:
        """What crashes have in common that have one cause, mostly."""
        found = re.search(
            r"GGML_ASSERT\(.*?\) failed|what\(\): .*|fatal error.*|\w+Error: .*|[^\n]*\.cpp:\d+: .*", self.said
        )
        said = found[0] if found else self.said.strip().splitlines()[-1] if self.said.strip() else ""
        return f"{self.outcome.value} while {self.phase}: {said[-160:]}"


class Laboratory:
    """Tries files. Make it before the process has threads: it forks."""

    def __init__(self) -> None:
        os.environ["GGML_NO_BACKTRACE"] = "1"
        logs.route()
        amx.is_broken()
        self._refusal = reserved_refusal()
        library.start()
        self._ledger, self._devices, self._demands = Ledger.create(1), DeviceLedger.create(1), Demands.create(1)

    def try_file(self, path: Path) -> Trial:
        """Have a child read, load and use the file."""
        with tempfile.TemporaryFile() as said:
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 2)
                self._child(path, writer)
            os.close(writer)
            stopped = _watch(child)
            _, status, _ = os.wait4(child, 0)
            phase = os.read(reader, 1 << 16).decode().split("\n")[-2:][0]
            os.close(reader)
            said.seek(max(0, said.seek(0, 2) - _KEPT_BYTES))
            text = said.read().decode("utf-8", "replace")
        code = os.waitstatus_to_exitcode(status)
        if stopped is not None:
            return Trial(stopped, phase, "")
        if code == -signal.SIGXCPU:
            return Trial(Outcome.HUNG, phase, text)
        if code < 0:
            return Trial(Outcome.CRASHED, phase, text or signal.Signals(-code).name)
        known = {_REFUSED: Outcome.REFUSED, _FAILED: Outcome.FAILED, 0: Outcome.WORKS}
        return Trial(known.get(code, Outcome.BUG), phase, text)

    def _child(self, path: Path, writer: int) -> NoReturn:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_MAX_S, CPU_MAX_S + 1))
        try:
            os._exit(self._use(path, lambda phase: os.write(writer, f"{phase}\n".encode())))
        except BaseException:
            import traceback

            os.write(2, traceback.format_exc(limit=-3).encode())
            os._exit(_BUG)

    def _use(self, path: Path, note: Callable[[str], object]) -> int:
        note("reading")
        try:
            model = open_model(path, "x", "x")
        except ModelLoadError as error:
            os.write(2, error.reason.encode())
            return _REFUSED
        _ = model.summary()
        note("loading")
        replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        load = Load(
            path=str(path),
            log_level=40,
            ledger_fd=self._ledger.fileno(),
            ledger_entry=0,
            devices_fd=self._devices.fileno(),
            demands_fd=self._demands.fileno(),
            checkpoints=4,
        )
        try:
            loaded, backend = load_model(load, [], self._refusal, replies.put)
        except SwellError as error:
            os.write(2, str(error).encode())
            return _FAILED
        note("describing")
        described = backend.describe()
        note("tokenizing")
        Tokenizer(loaded.vocabulary, replies.put).submit(
            Tokenize(id=0, text=_TEXT, add_special=True, parse_special=True)
        )
        answer = _next(replies, Tokenized)
        size = max(loaded.vocabulary.size, 1)
        known = answer.tokens[:100] if isinstance(answer, Tokenized) else []
        tokens = [token for token in known if 0 <= token < size] or [min(3, size - 1)] * 7
        tokens = tokens[: max(described.context_max - 1, 1)]
        threading.Thread(target=_run, args=(backend.run,), daemon=True).start()
        note("computing")
        if described.store is None:
            backend.submit(Embed(1, [tokens, tokens[:1]], threads=1))
            last = _next(replies, Embedded)
        else:
            backend.submit(
                Generate(
                    id=1,
                    prompt=tokens,
                    window_tokens=described.context_max,
                    limit_tokens=6,
                    sampling=Sampling(seed=1),
                    threads=1,
                    top_logprobs=2,
                )
            )
            last = _next(replies, StepOutput)
        if isinstance(last, Failed):
            os.write(2, f"{last.kind} {last.fields}".encode())
            return _FAILED
        note("counting")
        backend.stats(2)
        return 0


def _next(replies: "queue.SimpleQueue[Reply]", kind: type) -> Reply:
    """The first reply of a kind that ends something, or Failed."""
    while True:
        reply = replies.get()
        if isinstance(reply, Failed):
            return reply
        if isinstance(reply, StepOutput) and not (reply.finished or reply.failed):
            continue
        if isinstance(reply, kind):
            if isinstance(reply, StepOutput) and reply.failed:
                return reply.failed[0]
            return reply


def _run(run: Callable[[], None]) -> None:
    try:
        run()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc(limit=-3).encode())
        os._exit(_BUG)


def _watch(child: int) -> Outcome | None:
    """Wait until the child has ended, or takes too much, and is ended."""
    handle = os.pidfd_open(child)
    deadline_s = time.monotonic() + PATIENCE_S
    try:
        while not select.select([handle], [], [], _LOOK_S)[0]:
            stopped = None
            if time.monotonic() > deadline_s:
                stopped = Outcome.HUNG
            elif _resident_bytes(child) > MAX_BYTES:
                stopped = Outcome.MEMORY
            if stopped is not None:
                os.kill(child, signal.SIGKILL)
                return stopped
    finally:
        os.close(handle)
    return None


def _resident_bytes(child: int) -> int:
    try:
        return int(Path(f"/proc/{child}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0
