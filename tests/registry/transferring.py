"""Pulls and pushes as the server does them."""

import asyncio
import contextlib
import hashlib
import json
from pathlib import Path

import psutil

from swell.registry.messages import Direction, TransferLimits
from swell.registry.transfers import Transfers
from swell.store.names import parse_remote_name
from swell.store.progress import Progress
from swell.store.store import Store

LIMITS = TransferLimits(part_min_bytes=1 << 16, backoff_s=0.01, record_s=0.01, stall_s=0.5, patience_s=60.0, tries=3)
"""For small blobs and impatient tests. Patience is for busy machines, on which transfers compute last."""


def transfer(
    folder: Path,
    name: str,
    direction: Direction = Direction.PULL,
    limits: TransferLimits = LIMITS,
    *,
    insecure: bool = True,
) -> list[Progress]:
    """All lines of a transfer from or to a store at `folder`. Raises what it ends with."""

    async def run() -> list[Progress]:
        transfers = Transfers(Store(folder), key_file=folder.parent / "keys/id_ed25519", limits=limits)
        go = transfers.pull if direction is Direction.PULL else transfers.push
        try:
            async with contextlib.aclosing(go(parse_remote_name(name), insecure=insecure)) as lines:
                return [line async for line in lines]
        finally:
            await transfers.close()
            assert processes() == []

    return asyncio.run(run())


def processes() -> list[psutil.Process]:
    """Those of transfers that this process has started and that have not ended."""
    return [one for one in psutil.Process().children() if "swell.registry" in one.cmdline()]


def check_store(folder: Path) -> None:
    """Every blob has the contents that its name says, and every manifest's blobs are there."""
    blobs = {path.name for path in folder.glob("blobs/*") if "-partial" not in path.name}
    for name in blobs:
        assert name == f"sha256-{hashlib.sha256((folder / 'blobs' / name).read_bytes()).hexdigest()}"
    for path in (path for path in folder.glob("manifests/*/*/*/*")):
        fields = json.loads(path.read_bytes())
        for layer in (*fields["layers"], fields["config"]):
            assert layer["digest"].replace(":", "-") in blobs, path


def partials(folder: Path) -> list[str]:
    """What is there of downloads that aren't finished."""
    return sorted(path.name for path in folder.glob("blobs/*partial*"))
