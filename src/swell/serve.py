"""The server: a socket, the application, and uvicorn between them; as a process of its own or in another program."""

import asyncio
import logging
import math
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from swell.api.app import create_app
from swell.api.http.connection import connections, most_connections
from swell.doctor.devices import log_devices
from swell.host import HostAddress
from swell.library.library import Library
from swell.memory.allocator import give_back_large_blocks
from swell.models.catalog import whole_catalog
from swell.observe.log_format import set_up_log
from swell.observe.observing import Observing
from swell.registry.transfers import Transfers
from swell.sandbox.renderer import Renderer
from swell.sandbox.schemas import SchemaChecker
from swell.scheduler.scheduler import Scheduler
from swell.scheduler.schedules import Schedules
from swell.settings import Settings
from swell.store.store import Store
from swell.turns.services import Services

log = logging.getLogger(__name__)

_BACKLOG = 2048
_LAST_LINES_S = 5  # for answers that were ended to say so, before their connections are closed


def serve(settings: Settings, *, listen_fd: int | None = None, until_stdin_closes: bool = False) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, or until standard input ends.

    Answers in progress are finished first, for as long as the settings allow; a second signal ends them at once.
    `listen_fd` is a listening socket that was inherited. Raises OSError when the address can't be bound.
    """
    set_up_log(settings.log_level, settings.log_format)
    give_back_large_blocks()
    listener = socket.socket(fileno=listen_fd) if listen_fd is not None else _bind(settings.host)
    with listener:
        server = _HttpServer(settings)
        log.info("listening on %s:%d", *listener.getsockname()[:2])
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(_serve_until(server, listener, settings, until_stdin_closes=until_stdin_closes))


class Server:
    """A server inside another program: `with Server() as server:` or `async with`, and clients go to `server.url`.

    It has a thread and an event loop of its own, so the program's own loop and the server don't hold each other up.
    Signals are the program's affair. A server that was stopped can't be started again.
    """

    def __init__(self, settings: Settings | None = None, *, scheduler: Schedules | None = None) -> None:
        """Without `settings` it listens on a free port of 127.0.0.1, without a `scheduler` it has one of its own. The
        environment is not read.
        """
        self._settings = settings or Settings(host=HostAddress("http", "127.0.0.1", 0))
        self._scheduler = scheduler
        self._address: tuple[str, int] | None = None
        self._http: _HttpServer | None = None
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The address and port it listens on. RuntimeError unless it was started."""
        if self._address is None:
            raise RuntimeError("the server has not been started")
        return self._address

    @property
    def url(self) -> str:
        """Base URL for clients. RuntimeError unless it was started."""
        host, port = self.address
        return HostAddress("http", host, port).url

    @property
    def is_running(self) -> bool:
        """Whether it was started and hasn't ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Returns when requests are answered.

        Raises OSError when the address can't be bound, RuntimeError when the server can't start; its log says why.
        """
        if self._thread is not None:
            raise RuntimeError("the server was started before")
        listener = _bind(self._settings.host)
        self._address = listener.getsockname()[:2]
        is_up = threading.Event()
        self._http = _HttpServer(self._settings, self._scheduler, on_startup=is_up.set)
        self._thread = threading.Thread(target=self._run, args=(self._http, listener, is_up), name="swell")
        self._thread.start()
        is_up.wait()
        if self._failure is not None:
            self.stop()

    def stop(self) -> None:
        """End it as a signal would: answers in progress are finished first, for as long as the settings allow.

        Returns when all its processes have ended. Raises what the server failed with, if it did.
        """
        if self._thread is None or self._http is None:
            return
        self._http.should_exit = True
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    async def start_async(self) -> None:
        """`start`, while the caller's event loop goes on."""
        await asyncio.to_thread(self.start)

    async def stop_async(self) -> None:
        """`stop`, while the caller's event loop goes on."""
        await asyncio.to_thread(self.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self.start_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop_async()

    def _run(self, server: "_HttpServer", listener: socket.socket, is_up: threading.Event) -> None:
        """The thread. What it fails with is raised where the server is started or stopped."""
        try:
            with listener, asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(server.serve(sockets=[listener]))
        except SystemExit:  # uvicorn's way to say it
            self._failure = RuntimeError("the server could not start; its log says why")
        except Exception as failure:
            self._failure = failure
        finally:
            is_up.set()


class _HttpServer(uvicorn.Server):
    """uvicorn with the application, and an end in steps: answers are finished for up to the time that is set, then they
    are ended with a reason; a second signal waits for none. The process exits with 0 then, not by the signal.
    """

    def __init__(
        self, settings: Settings, scheduler: Schedules | None = None, on_startup: Callable[[], None] = lambda: None
    ) -> None:
        """`on_startup` is called when connections are accepted."""
        self._scheduler: Schedules = scheduler or Scheduler(settings)
        self._observing = Observing(settings, self._scheduler)
        self._drain_s = settings.drain_s
        self._on_startup = on_startup
        config = uvicorn.Config(
            _application(settings, self._scheduler, self._observing),
            http=connections(settings.send_timeout_s),
            ws="none",
            limit_concurrency=most_connections(),
            log_config=None,
            access_log=settings.log_level <= logging.DEBUG,
            timeout_graceful_shutdown=math.ceil(settings.drain_s) + _LAST_LINES_S,
            server_header=False,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_startup()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._observing.live.close()  # views have no end of their own to wait for
        limit = asyncio.get_running_loop().call_later(self._drain_s, self._scheduler.interrupt)
        try:
            await super().shutdown(sockets)
        finally:
            limit.cancel()


async def _serve_until(
    server: uvicorn.Server, listener: socket.socket, settings: Settings, *, until_stdin_closes: bool
) -> None:
    if until_stdin_closes:
        loop = asyncio.get_running_loop()

        def on_input() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                loop.remove_reader(sys.stdin.fileno())
                server.should_exit = True

        loop.add_reader(sys.stdin.fileno(), on_input)
    telling = asyncio.create_task(log_devices(settings, os.environ))
    try:
        await server.serve(sockets=[listener])
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


def _bind(address: HostAddress) -> socket.socket:
    """A listening socket; "" is every interface, IPv6 ones too where the system has them."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    if not address.host and socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)


def _application(settings: Settings, scheduler: Schedules, observing: Observing) -> ASGIApp:
    store = Store(settings.store_dir, prunes=not settings.no_prune, in_use=scheduler.files_in_use)
    catalog = whole_catalog(store, settings.models_dir, settings.template_preference)
    services = Services(settings, scheduler, catalog, Renderer(), SchemaChecker())
    return create_app(services, Library(store, catalog, Transfers(store), scheduler), observing)
