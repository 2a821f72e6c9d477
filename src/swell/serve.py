"""The server process: a socket, the application, and uvicorn between them."""

import asyncio
import logging
import math
import os
import socket
import sys
from types import FrameType

import uvicorn

from swell.api.app import create_app
from swell.api.http.connection import connections, most_connections
from swell.host import HostAddress
from swell.memory.allocator import give_back_large_blocks
from swell.models.bundled import BundledModels
from swell.models.catalog import Catalog
from swell.models.folder import FolderModels
from swell.sandbox.renderer import Renderer
from swell.sandbox.schemas import SchemaChecker
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings

log = logging.getLogger(__name__)

_BACKLOG = 2048
_LAST_LINES_S = 5  # for answers that were ended to say so, before their connections are closed


def serve(settings: Settings, *, listen_fd: int | None = None, until_stdin_closes: bool = False) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, or until standard input ends.

    Answers in progress are finished first, for as long as the settings allow; a second signal ends them at once.
    `listen_fd` is a listening socket that was inherited. Raises OSError when the address can't be bound.
    """
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    give_back_large_blocks()
    listener = socket.socket(fileno=listen_fd) if listen_fd is not None else _bind(settings.host)
    with listener:
        scheduler = Scheduler(settings)
        config = uvicorn.Config(
            create_app(settings, scheduler, _catalog(settings), Renderer(), SchemaChecker()),
            http=connections(settings.send_timeout_s),
            ws="none",
            limit_concurrency=most_connections(),
            log_config=None,
            access_log=settings.log_level <= logging.DEBUG,
            timeout_graceful_shutdown=math.ceil(settings.drain_s) + _LAST_LINES_S,
            server_header=False,
        )
        log.info("listening on %s:%d", *listener.getsockname()[:2])
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(_Server(config, scheduler, settings.drain_s), listener, until_stdin_closes))


def _catalog(settings: Settings) -> Catalog:
    """A user's own files go before what is bundled: its alias may be the name of one."""
    folders = [FolderModels(settings.models_dir)] if settings.models_dir else []
    return Catalog([*folders, BundledModels()])


class _Server(uvicorn.Server):
    """Ends in steps: answers are finished, what isn't by then is ended with a reason, a second signal waits for none.

    It exits by itself and not by the signal, since it did what it was told.
    """

    def __init__(self, config: uvicorn.Config, scheduler: Scheduler, drain_s: float) -> None:
        super().__init__(config)
        self._scheduler = scheduler
        self._drain_s = drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        limit = asyncio.get_running_loop().call_later(self._drain_s, self._scheduler.interrupt)
        try:
            await super().shutdown(sockets)
        finally:
            limit.cancel()


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
