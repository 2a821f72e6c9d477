"""A worker: one address, and a process for each of the clients that can be served at a time.

llama.cpp's RPC server serves one client after the other. So several processes of it accept on the same listening
socket, and the kernel gives each client to one of them. They are forked from this one, which has the library loaded
already and no threads, and so cost about 4 MB each. What one of them lent is free again when it ends.
"""

import ipaddress
import logging
import os
import signal
import socket
import sys
from typing import NoReturn

from swell.errors import SwellError
from swell.llama import library, logs, rpc
from swell.llama.device_limit import limit_device_memory
from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
from swell.processors.governor import Governor
from swell.processors.shares import Demands
from swell.remote.account import SharedAccount
from swell.remote.threads import ClientThreads
from swell.runner.lifeline import die_with_parent

log = logging.getLogger(__name__)

CLIENTS_MAX = 8
"""Clients at the same time; each model that uses the worker is one. Further clients wait until one leaves."""

_BACKLOG = 16
_REFUSED = 78  # EX_CONFIG


class RpcWorker:
    """Starts the processes, replaces those that end, and ends all of them with `close`."""

    def __init__(self, listener: socket.socket, *, limit_bytes: int | None, threads: int | None) -> None:
        self._listener = listener
        self._limit_bytes = limit_bytes
        self._threads = threads
        self._ledger = Ledger.create(CLIENTS_MAX)
        self._demands = Demands.create(CLIENTS_MAX)
        self._entries: dict[int, int] = {}  # by process

    def run(self) -> None:
        """Serve until a signal ends this process, or return when a process refuses to serve and has logged why.

        Raises LibraryError if llama.cpp was built without RPC.
        """
        rpc.require()
        library.start()
        for entry in range(CLIENTS_MAX):
            self._start(entry)
        while True:
            process, status = os.wait()
            entry = self._entries.pop(process)
            self._ledger.clear(entry)
            self._demands.want(entry, 0)
            exit_code = os.waitstatus_to_exitcode(status)
            if exit_code == _REFUSED:
                return  # it said why, and another one would say the same
            log.warning("the process of a client ended (exit code %d), it is replaced", exit_code)
            self._start(entry)

    def close(self) -> None:
        """Kill all processes and free the ledger."""
        for process in self._entries:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        self._entries.clear()
        self._ledger.close()
        self._demands.close()

    def _start(self, entry: int) -> None:
        parent = os.getpid()
        process = os.fork()
        if process == 0:
            self._serve(entry, parent)
        self._entries[process] = entry

    def _serve(self, entry: int, parent: int) -> NoReturn:
        """What a client's process does until it is killed; it never returns."""
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            die_with_parent(parent)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # llama.cpp prints to it
            account = SharedAccount(self._ledger, entry, MemoryProbe(), self._limit_bytes)
            threads = ClientThreads(Governor(self._demands, entry, exact=self._threads))
            rpc.serve(limit_device_memory(account), self._listener, threads.now, threads)
        except SwellError as error:
            log.error("%s", error)
            os._exit(_REFUSED)
        except BaseException:
            log.exception("a client's process failed")
            os._exit(1)
        os._exit(1)


def work(host: str, port: int, *, limit_bytes: int | None, threads: int | None, log_level: int) -> None:
    """Lend memory and processors on `host:port` until SIGINT or SIGTERM; with port 0 the kernel chooses one.

    Lends up to `limit_bytes`, or all that is free with None. Computes for each client with exactly `threads`, or with
    as many as the machine can give with None. Raises OSError when the address can't be bound, LibraryError when
    llama.cpp was built without RPC.
    """
    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logs.route()
    signal.signal(signal.SIGTERM, _interrupt)
    with socket.create_server((host, port), backlog=_BACKLOG) as listener:
        if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            log.warning("whoever can reach this address can use this machine's memory; there is no password")
        worker = RpcWorker(listener, limit_bytes=limit_bytes, threads=threads)
        log.info("lending %s on %s:%d", _amount(limit_bytes), *listener.getsockname()[:2])
        try:
            worker.run()
        except KeyboardInterrupt:
            log.info("ending")
        finally:
            worker.close()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _amount(limit_bytes: int | None) -> str:
    return "all free memory" if limit_bytes is None else f"up to {limit_bytes / 1e9:.2f} GB"
