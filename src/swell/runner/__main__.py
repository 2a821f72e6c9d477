"""`python -m swell.runner FD PARENT`: a runner on the connected Unix socket FD, for the server process PARENT."""

import sys
from typing import Any, cast

# asyncio imports it if it is there, which costs 4.6 MB (measured); a runner speaks to nobody but its server
sys.modules["ssl"] = cast(Any, None)

import asyncio
import logging
import socket

from swell.kv.selfcheck import reserved_refusal
from swell.llama import logs
from swell.runner.lifeline import die_with_parent
from swell.runner.service import Service


def main() -> None:
    descriptor, parent = (int(argument) for argument in sys.argv[1:])
    die_with_parent(parent)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logs.route()
    refusal = reserved_refusal()  # forks, so before there are threads
    asyncio.run(Service(socket.socket(fileno=descriptor), refusal).run())


if __name__ == "__main__":
    main()
