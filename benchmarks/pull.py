"""`python -m benchmarks.pull`: a blob of 1 GB from a registry on loopback, beside skopeo, in turns.

Memory is what the transfer's process takes, and what this one, which stands for the server, takes more meanwhile.
"""

import asyncio
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.registry.real import directory, docker_registry, skopeo
from tests.registry.transferring import processes

from swell.bench.tables import Section, as_text
from swell.registry.transfers import Transfers
from swell.store.names import parse_remote_name
from swell.store.store import Store

ROUNDS = 5
SIZE_BYTES = 1_000_000_000
KIND = "application/vnd.ollama.image.model"
_POLL_S = 0.05


def main() -> None:
    with tempfile.TemporaryDirectory() as place, docker_registry(Path(place) / "registry") as host:
        folder, name = Path(place), f"{host}/library/big"
        source = directory(folder / "source", [os.urandom(SIZE_BYTES)], KIND)
        skopeo("copy", "--dest-tls-verify=false", f"dir:{source}", f"docker://{name}")
        copied, models = folder / "copied", folder / "models"
        theirs, ours, memory = list[float](), list[float](), list[int]()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{copied}")
            theirs.append(time.perf_counter() - start)
            start = time.perf_counter()
            memory.append(asyncio.run(_pull(models, name)))
            ours.append(time.perf_counter() - start)
            shutil.rmtree(copied)
            shutil.rmtree(models)
    skopeo_s, swell_s = statistics.median(theirs), statistics.median(ours)
    rows = [
        ("skopeo", f"{skopeo_s:.2f}", f"{SIZE_BYTES / 1e6 / skopeo_s:.0f}", ""),
        ("swell", f"{swell_s:.2f}", f"{SIZE_BYTES / 1e6 / swell_s:.0f}", f"{max(memory) / 1e6:.0f}"),
    ]
    section = Section(
        title="A pull of 1 GB on loopback",
        header=("", "s", "MB/s", "memory MB"),
        rows=tuple(rows),
        note=f"Medians of {ROUNDS}. Swell is {skopeo_s / swell_s:.2f} times as fast; its pulls end when all is on the "
        "disk, skopeo's when it is in the cache.",
    )
    sys.stdout.write(as_text([section]))


async def _pull(folder: Path, name: str) -> int:
    """The memory that was taken, in bytes."""
    own = psutil.Process()
    before, most = own.memory_info().rss, 0

    async def watch() -> None:
        nonlocal most
        while True:
            with contextlib.suppress(psutil.Error):  # it has ended
                taken = sum(process.memory_info().rss for process in processes())
                most = max(most, taken + own.memory_info().rss - before)
            await asyncio.sleep(_POLL_S)

    watching = asyncio.create_task(watch())
    async for _ in Transfers(Store(folder), key_file=folder / "key").pull(parse_remote_name(name), insecure=True):
        """Nobody shows it."""
    watching.cancel()
    return most


if __name__ == "__main__":
    main()
