"""A runner's process: ties it to its server, checks the library, and runs the event loop."""

import asyncio
import contextlib
import logging
import socket
import sys
from typing import NoReturn

from swell.kv.selfcheck import reserved_refusal
from swell.llama import amx, logs
from swell.runner.lifeline import die_with_parent
from swell.runner.service import Service

_OOM_SCORE = "500"  # where memory is short the kernel ends a runner, which can be replaced, and not the server


def main() -> NoReturn:
    """Serve on a connected Unix socket, of which the command line says the descriptor, and the server's process id."""
    descriptor, parent = (int(argument) for argument in sys.argv[1:])
    die_with_parent(parent)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_OOM_SCORE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logs.route()
    amx.is_broken()  # forks, so before there are threads
    refusal = reserved_refusal()  # forks, too
    asyncio.run(Service(socket.socket(fileno=descriptor), refusal).run())
