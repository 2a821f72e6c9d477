"""`python -m benchmarks.restart`: the next turn of a conversation of 4,000 tokens after a restart of the server.

With the prefix cache, against reading all of it again, on the bundled model.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from tests.e2e.server import Server, running

from swell.bench.tables import Section, as_text

ROUNDS = 3
CONVERSATION = "The keeper of the lighthouse wrote down what he had seen. " * 330
TURN = " And then"


def main() -> None:
    rows = []
    for kind in ("read again", "from a file"):
        times = [_after_restart(from_file=kind == "from a file") for _ in range(ROUNDS)]
        loads, reads, cached = zip(*times, strict=True)
        rows.append((kind, f"{statistics.median(loads):.2f}", f"{statistics.median(reads):.2f}", str(cached[-1])))
    section = Section(
        title="The first turn after a restart",
        header=("", "load s", "prompt s", "tokens not read again"),
        rows=tuple(rows),
        note=f"Medians of {ROUNDS}. prompt: until the first token, as the answer tells it (prompt_eval_duration).",
    )
    sys.stdout.write(as_text([section]))


def _after_restart(*, from_file: bool) -> tuple[float, float, int]:
    """Seconds that loading and the prompt took, and how many tokens were not read again."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"SWELL_PREFIX_CACHE": f"{folder}/prefixes"} if from_file else {}
        if from_file:
            with running(Path(folder) / "log", environment) as server:
                server.generate(CONVERSATION, predict=1)
        with running(Path(folder) / "log", environment) as server:
            answer = server.generate(CONVERSATION + TURN, predict=1)
            return answer["load_duration"] / 1e9, answer["prompt_eval_duration"] / 1e9, _cached(server)


def _cached(server: Server) -> int:
    (row,) = server.http.get("/stats").json()["models"]
    return int(row["stats"]["totals"]["cached"])


if __name__ == "__main__":
    main()
