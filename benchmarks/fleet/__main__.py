"""`python -m benchmarks.fleet` simulates fleets of 2 to 200 replicas; what comes of it goes to benchmarks/results."""

import argparse
import datetime
import sys
from pathlib import Path

import msgspec
from benchmarks.fleet.simulation import Policy, SimulatedFleet, simulate

RESULTS = Path(__file__).parents[1] / "results"
REPLICAS = (2, 5, 10, 20, 50, 100, 200)


class SimulationReport(msgspec.Struct, kw_only=True):
    """All runs of one command."""

    command: str
    date: str
    seconds: float
    seed: int
    fleets: list[SimulatedFleet]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=400.0, help="how much time is simulated (default: 400)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replicas", type=int, nargs="+", default=REPLICAS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    fleets = []
    for count in chosen.replicas:
        for policy in Policy:
            fleets.append(simulate(policy, count, seconds=chosen.seconds, seed=chosen.seed))
            print(msgspec.json.encode(fleets[-1]).decode(), flush=True)
    now = datetime.datetime.now(datetime.UTC)
    report = SimulationReport(
        command=" ".join(["python -m benchmarks.fleet", *sys.argv[1:]]),
        date=now.isoformat(timespec="seconds"),
        seconds=chosen.seconds,
        seed=chosen.seed,
        fleets=fleets,
    )
    path = chosen.results / f"fleet-{now:%Y-%m-%dT%H%MZ}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    print(path)


if __name__ == "__main__":
    main()
