"""Connections to workers; a broken one ends this process.

llama.cpp notices a broken connection only when it uses it, and then ends the process. Here the kernel is asked to tell
at once, also while nothing is computed; and in either case the exit code says which worker it was.
"""

import logging
import os
import select
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from swell.llama import rpc
from swell.llama.devices import Device, worker_devices
from swell.protocol.messages import WORKER_EXIT_CODES, WorkerMissing

log = logging.getLogger(__name__)

REACH_LIMIT_S = 3.0
ANSWER_LIMIT_S = 20.0
"""How long a worker may take to say which devices it has. One that has as many clients as it serves doesn't answer."""

_HANGUP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
# a machine that vanishes without a word is noticed after about half a minute
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


class Workers:
    """The workers at `addresses`. A connection that breaks ends this process with a code of WORKER_EXIT_CODES."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._connections: dict[int, tuple[int, socket.socket]] = {}  # which worker's, by descriptor
        self._poll = select.poll()
        self._asking: int | None = None

    def connect(self) -> tuple[list[Device], list[WorkerMissing]]:
        """The devices of all workers, and the workers that can't be reached.

        Raises LibraryError if the library was built without RPC. A worker that takes a connection and then doesn't
        behave as one ends the process as a broken connection would.
        """
        rpc.require()
        rpc.on_abort(self._on_abort)
        devices, missing = [], []
        with ThreadPoolExecutor() as threads:
            reached = list(threads.map(_reach, self._addresses))
        for index, (address, peer) in enumerate(zip(self._addresses, reached, strict=True)):
            if isinstance(peer, OSError):
                missing.append(WorkerMissing(address, str(peer)))
            else:
                devices += self._ask(index, address)
                self._keep(index, peer)
        threading.Thread(target=self._watch, name="workers", daemon=True).start()
        return devices, missing

    def _ask(self, index: int, address: str) -> list[Device]:
        self._asking = index
        limit = threading.Timer(ANSWER_LIMIT_S, self._exit, (index, "doesn't answer"))
        limit.start()
        devices = worker_devices(address)
        limit.cancel()
        self._asking = None
        return devices

    def _keep(self, index: int, peer: tuple[str, int]) -> None:
        """Watch the connections that llama.cpp has to `peer`."""
        for number, connection in rpc.sockets():
            try:
                is_ours = connection.getpeername() == peer
            except OSError:
                continue
            if is_ours:
                kept = socket.socket(fileno=os.dup(number))
                kept.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name, value in _KEEPALIVE.items():
                    if option := getattr(socket, name, None):
                        kept.setsockopt(socket.IPPROTO_TCP, option, value)
                self._connections[kept.fileno()] = index, kept
                self._poll.register(kept, _HANGUP)

    def _watch(self) -> NoReturn:
        while True:
            for descriptor, _ in self._poll.poll():
                self._exit(self._connections[descriptor][0], "is gone")

    def _on_abort(self, message: bytes) -> None:
        """Exit with the code of the worker that is to blame. If none is, llama.cpp ends the process after this."""
        log.critical("%s", message.decode("utf-8", "replace"))
        if self._asking is not None:
            self._exit(self._asking, "is no worker of this version of llama.cpp")
        poll = select.poll()  # another thread waits in the first one, and only one thread may
        for descriptor in self._connections:
            poll.register(descriptor, _HANGUP)
        for descriptor, _ in poll.poll(0):
            self._exit(self._connections[descriptor][0], "is gone")

    def _exit(self, index: int, what: str) -> NoReturn:
        log.error("the worker %s %s", self._addresses[index], what)
        os._exit(WORKER_EXIT_CODES[index])


def _reach(address: str) -> tuple[str, int] | OSError:
    """The IP address and port of `address` if a connection can be made to it, else the error."""
    host, _, port = address.rpartition(":")
    try:
        peer = socket.gethostbyname(host), int(port)
        socket.create_connection(peer, timeout=REACH_LIMIT_S).close()
    except OSError as error:
        return error
    return peer
