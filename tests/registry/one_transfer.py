"""`python -m tests.registry.one_transfer FOLDER NAME [push]`: a program that pulls or pushes one model and writes the
statuses, as a server that has nothing else to do. It is there to be killed.
"""

import asyncio
import contextlib
import sys
from pathlib import Path

from tests.registry.transferring import LIMITS

from swell.registry.transfers import Transfers
from swell.store.names import parse_remote_name
from swell.store.store import Store


async def _main(folder: str, name: str, push: str = "") -> None:
    transfers = Transfers(Store(Path(folder)), limits=LIMITS)
    go = transfers.push if push else transfers.pull
    async with contextlib.aclosing(go(parse_remote_name(name), insecure=True)) as lines:
        async for line in lines:
            sys.stdout.write(f"{line.status}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
