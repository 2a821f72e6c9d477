"""Pulls that are killed at any point: the store is valid whenever that happens, and the next pull goes on."""

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil
import pytest
from tests.registry.scripted import REPOSITORY, ScriptedRegistry, digest
from tests.registry.transferring import LIMITS, check_store, partials, transfer
from tests.waiting import is_alive, wait_until

from swell.registry.messages import Direction, Pulled, Reported, TransferJob, TransferMessage
from swell.registry.partial import read_parts
from swell.registry.parts import completed_bytes
from swell.store.names import parse_name
from swell.store.progress import Progress
from swell.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.destructive]

CHAINS, KILLS = 10, 10
"""So many models are pulled, and the pull of each is killed so many times before it may end."""
WEIGHTS = [random.Random(seed).randbytes(600_000) for seed in (1, 2)]
CONFIG = b"{}"
TOTAL = sum(map(len, WEIGHTS)) + len(CONFIG)


def pull_until(folder: Path, registry: ScriptedRegistry, kill_bytes: int) -> Pulled | None:
    """What a process says at its end. It is killed when the registry has sent it so much."""
    job = TransferJob(
        direction=Direction.PULL,
        name=parse_name(f"{registry.host}/{REPOSITORY}"),
        scheme="http",
        folder=str(folder),
        prunes=True,
        key_file=str(folder / "key"),
        limits=LIMITS,
    )
    command = (sys.executable, "-m", "swell.registry")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        registry.sent_bytes = 0
        registry.on_sent = lambda sent: process.kill() if sent >= kill_bytes else None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
        messages = [msgspec.json.decode(line, type=TransferMessage) for line in process.stdout if line.endswith(b"\n")]
        registry.on_sent = None
    end = messages[-1] if messages else None
    assert end is None or isinstance(end, Reported | Pulled), end
    return end if isinstance(end, Pulled) else None


def recorded(folder: Path) -> int:
    """How much of the blobs is there, by what is written beside them."""
    blobs = Store(folder).blobs
    there = 0
    for content in (*WEIGHTS, CONFIG):
        found = blobs.find(digest(content))
        there += len(content) if found else completed_bytes(read_parts(blobs.partial(digest(content))))
    return there


def chain(folder: Path, seed: int) -> int:
    """Pull one model, killed again and again; how many of the kills found some of it there."""
    chance = random.Random(seed)
    found = 0
    with ScriptedRegistry().serving() as registry:
        made = registry.add([*WEIGHTS, CONFIG])
        for _ in range(KILLS):
            before = recorded(folder)
            found += before > 0
            end = pull_until(folder, registry, chance.randint(0, max(1, (TOTAL - before) // 2)))
            check_store(folder)
            assert recorded(folder) >= before
            assert registry.sent_bytes <= TOTAL - before
            assert end is None or recorded(folder) == TOTAL
        before = recorded(folder)
        assert pull_until(folder, registry, TOTAL + 1) == Pulled(made)
        assert registry.sent_bytes == TOTAL - before
        Store(folder).commit(parse_name(f"{registry.host}/{REPOSITORY}"), made)
        check_store(folder)
        assert partials(folder) == []
    return found


def test_killed_pulls_go_on(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = sum(pool.map(lambda seed: chain(tmp_path / str(seed), seed), range(CHAINS)))
    assert found > CHAINS * KILLS // 4


@pytest.mark.parametrize(
    "status", ["pulling manifest", "pulling", "verifying sha256 digest", "writing manifest", "success"]
)
def test_a_server_that_is_killed_takes_its_transfers_along(
    registry: ScriptedRegistry, folder: Path, status: str
) -> None:
    made = registry.add([*WEIGHTS, CONFIG])
    name = f"{registry.host}/{REPOSITORY}"
    command = (sys.executable, "-m", "tests.registry.one_transfer", str(folder), name)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert any(line.startswith(status) for line in server.stdout)
        children = psutil.Process(server.pid).children()
        server.kill()
        wait_until(lambda: not any(map(is_alive, children)), "the transfer's process has ended")
    check_store(folder)
    assert transfer(folder, name)[-1] == Progress("success")
    check_store(folder)
    assert after_pruning(folder) == {
        f"manifests/{registry.host}/{REPOSITORY}/latest",
        *(f"blobs/{digest(content).replace(':', '-')}" for content in (*WEIGHTS, CONFIG)),
    }
    assert (folder / "manifests" / registry.host / REPOSITORY / "latest").read_bytes() == made


def after_pruning(folder: Path) -> set[str]:
    """The files of a store that is pruned in two hours."""
    earlier_s = time.time() - 7200
    for path in folder.rglob("*"):
        os.utime(path, (earlier_s, earlier_s))
    Store(folder).prune()
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_pull_that_is_never_gone_on_with_leaves_nothing(registry: ScriptedRegistry, folder: Path) -> None:
    """Its beginning stays for a week."""
    registry.add([*WEIGHTS, CONFIG])
    while not partials(folder):
        pull_until(folder, registry, len(WEIGHTS[0]) // 2)
    (folder / "manifests").mkdir()  # without it, this might be no store
    assert after_pruning(folder)
    a_week_ago_s = time.time() - 8 * 86400
    for path in folder.glob("blobs/*"):
        os.utime(path, (a_week_ago_s, a_week_ago_s))
    Store(folder).prune()
    assert not list(folder.glob("blobs/*"))
