"""Damage files and load them; say what became of them, and keep one of each kind that crashes.

Ends with 1 if one hung, took too much memory, or met an exception of the runner's, or if many crashed.
"""

import argparse
import dataclasses
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import seeds
from tests.fuzz.trial import Laboratory, Outcome, Trial

_CRASHES_MAX = 0.05
"""Measured: 1 % of files."""


@dataclasses.dataclass
class Tally:
    """What became of the files so far, and an example of each kind of crash."""

    keep: Path | None
    outcomes: Counter[Outcome] = dataclasses.field(default_factory=Counter)
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)

    def note(self, trial: Trial, name: str, done: str, content: bytes) -> None:
        self.outcomes[trial.outcome] += 1
        if trial.outcome.is_sound:
            return
        self.kinds[trial.kind] += 1
        if trial.kind in self.examples:
            return
        self.examples[trial.kind] = f"{name}: {done}"
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{name}.gguf").write_bytes(content)

    def report(self) -> None:
        print(f"{self.outcomes.total()} files:", {outcome.value: count for outcome, count in self.outcomes.items()})
        for kind, count in self.kinds.most_common():
            print(f"{count:5} {kind}\n      {self.examples[kind]}")

    @property
    def is_good(self) -> bool:
        bad = sum(self.outcomes[outcome] for outcome in (Outcome.BUG, Outcome.HUNG, Outcome.MEMORY))
        return not bad and self.outcomes[Outcome.CRASHED] <= max(3, _CRASHES_MAX * self.outcomes.total())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--files", type=float, default=float("inf"))
    parser.add_argument("--seed", default="0")
    parser.add_argument("--keep", type=Path, help="a folder for a file of each kind that crashes")
    arguments = parser.parse_args()
    laboratory, tally = Laboratory(), Tally(arguments.keep)
    until_s, number = time.monotonic() + 60 * arguments.minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        sound, path = list(seeds(Path(folder))), Path(folder, "damaged.gguf")
        for name, document in sound:
            path.write_bytes(document.encode())
            trial = laboratory.try_file(path)
            assert trial.outcome is Outcome.WORKS, (name, trial)
        while number < arguments.files and time.monotonic() < until_s:
            chance = random.Random(f"{arguments.seed} {number}")
            name, document = chance.choice(sound)
            content, done = mutate(chance, document)
            path.write_bytes(content)
            tally.note(laboratory.try_file(path), f"{arguments.seed}-{number}-{name}", done, content)
            number += 1
    tally.report()
    return 0 if tally.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
