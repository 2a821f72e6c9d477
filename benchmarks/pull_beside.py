"""`python -m benchmarks.pull_beside`: a pull of 1 GB beside an answer that is being written, on the bundled model.

The registry is on the same machine, at the lowest priority: elsewhere it would take no processor from the answer.
"""

import itertools
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from benchmarks.pull import KIND, SIZE_BYTES
from tests.e2e.server import MODEL, Server, running
from tests.registry.real import directory, docker_registry, skopeo

from swell.bench.quantiles import percentile
from swell.bench.tables import Section, as_text

ROUNDS = 4
_QUIET_S = 6.0
_ANSWER_TOKENS = 100_000
_FIRST_TOKENS = 20


class Answer:
    """An endless answer, and when its tokens came."""

    def __init__(self, server: Server) -> None:
        self.times_s: list[float] = []
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        while len(self.times_s) < _FIRST_TOKENS:
            time.sleep(0.05)

    def gaps_s(self, begin_s: float, end_s: float) -> list[float]:
        """Between tokens that came from one time to another."""
        times = [at for at in self.times_s if begin_s <= at <= end_s]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        options = {"num_predict": _ANSWER_TOKENS, "num_ctx": 1024, "ignore_eos": True}
        body = {"model": MODEL, "prompt": "Once upon a time", "raw": True, "options": options}
        while not self._over.is_set():
            with self._server.http.stream("POST", "/api/generate", json=body) as answer:
                for _ in answer.iter_lines():
                    self.times_s.append(time.perf_counter())
                    if self._over.is_set():
                        return


def main() -> None:
    with tempfile.TemporaryDirectory() as place, docker_registry(Path(place) / "registry") as host:
        for child in psutil.Process().children():
            os.sched_setscheduler(child.pid, os.SCHED_IDLE, os.sched_param(0))
        name = f"{host}/library/big"
        source = directory(Path(place) / "source", [os.urandom(SIZE_BYTES)], KIND)
        skopeo("copy", "--dest-tls-verify=false", f"dir:{source}", f"docker://{name}")
        with running(Path(place) / "log", {"OLLAMA_MODELS": f"{place}/models"}) as server:
            answer = Answer(server)
            quiet, beside = list[float](), list[float]()
            for _ in range(ROUNDS):
                start = time.perf_counter()
                time.sleep(_QUIET_S)
                middle = time.perf_counter()
                quiet += answer.gaps_s(start, middle)
                server.ask("/api/pull", model=name, insecure=True)
                beside += answer.gaps_s(middle, time.perf_counter())
                server.http.request("DELETE", "/api/delete", json={"model": name}).raise_for_status()
            answer.end()
    rows = [(what, *_numbers(gaps)) for what, gaps in (("alone", quiet), ("beside a pull", beside))]
    ratio = percentile(beside, 0.99) / percentile(quiet, 0.99)
    header = ("an answer", "tokens", "median ms", "p99 ms", "worst ms")
    note = f"p99 beside a pull is {ratio:.2f} times that alone; {ROUNDS} pulls."
    sys.stdout.write(as_text([Section(title="Between tokens", header=header, rows=tuple(rows), note=note)]))


def _numbers(gaps: list[float]) -> tuple[str, ...]:
    values = (percentile(gaps, 0.5), percentile(gaps, 0.99), max(gaps))
    return (str(len(gaps)), *(f"{value * 1000:.1f}" for value in values))


if __name__ == "__main__":
    main()
