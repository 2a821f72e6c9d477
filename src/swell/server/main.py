"""The server process: a socket, the application, and uvicorn between them."""

import asyncio
import logging
import os
import socket
import sys

import uvicorn

from swell.server.app import create_app
from swell.server.models.catalog import Catalog
from swell.server.scheduler import Scheduler
from swell.settings import HostAddress, Settings

log = logging.getLogger(__name__)

_BACKLOG = 2048


def serve(settings: Settings, *, listen_fd: int | None = None, until_stdin_closes: bool = False) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, or until standard input ends.

    `listen_fd` is a listening socket that was inherited. Raises OSError when the address can't be bound.
    """
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    listener = socket.socket(fileno=listen_fd) if listen_fd is not None else _bind(settings.host)
    with listener:
        config = uvicorn.Config(
            create_app(settings, Scheduler(settings), Catalog()),
            log_config=None,
            access_log=settings.log_level <= logging.DEBUG,
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        log.info("listening on %s:%d", *listener.getsockname()[:2])
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(uvicorn.Server(config), listener, until_stdin_closes))


async def _run(server: uvicorn.Server, listener: socket.socket, until_stdin_closes: bool) -> None:
    if until_stdin_closes:
        loop = asyncio.get_running_loop()

        def on_input() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                loop.remove_reader(sys.stdin.fileno())
                server.should_exit = True

        loop.add_reader(sys.stdin.fileno(), on_input)
    await server.serve(sockets=[listener])


def _bind(address: HostAddress) -> socket.socket:
    """A listening socket; "" is every interface, IPv6 ones too where the system has them."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    if not address.host and socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
