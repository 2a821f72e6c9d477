"""The runner's event loop: reads requests from the server, answers those that need no computing, hands on the rest."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import NoReturn

from swell.errors import LibraryError, SwellError, to_data
from swell.llama.devices import Device, local_devices
from swell.protocol.framing import requests
from swell.protocol.messages import (
    Cancel,
    DevicesFound,
    Embed,
    FindDevices,
    Generate,
    GetPrefixes,
    GetStats,
    KeepPrefixes,
    Load,
    LoadFailed,
    MemoryOffered,
    Ping,
    Pong,
    Request,
    SaveSlots,
    Shrink,
    Tokenize,
)
from swell.runner.loading import load_model
from swell.runner.outbox import Outbox
from swell.runner.tokenizer import Tokenizer
from swell.runner.workers import Workers

log = logging.getLogger(__name__)

_EXIT_BUG = 70  # EX_SOFTWARE


class Service:
    """The connection to the server. When it ends, so does the process."""

    def __init__(self, connection: socket.socket, reserved_refusal: str | None) -> None:
        self._connection = connection
        self._reserved_refusal = reserved_refusal
        self._devices: list[Device] = []
        self._batches: Callable[[], int | None] = lambda: None  # until there is a backend to ask

    async def run(self) -> NoReturn:
        """Answer the server's requests, of which FindDevices is the first and Load the second, until it is gone."""
        reader, _writer = await asyncio.open_unix_connection(sock=self._connection)
        self._outbox = Outbox(self._connection, asyncio.get_running_loop())
        async for request in requests(reader):
            self._answer(request)
        os._exit(0)  # the server is gone, and with it everybody who wants what is being computed

    def _start(self, load: Load) -> None:
        logging.getLogger().setLevel(load.log_level)
        threading.Thread(target=self._compute, args=(load,), name="engine", daemon=True).start()

    def _answer(self, request: Request) -> None:
        match request:
            case Cancel() if self._tokenizer.cancel(request.id):
                pass
            case Generate() | Embed() | Cancel() | Shrink() | MemoryOffered() | SaveSlots() | KeepPrefixes():
                self._backend.submit(request)
            case Tokenize():
                self._tokenizer.submit(request)
            case GetStats():
                self._outbox.send(self._backend.stats(request.id, request.count))
            case GetPrefixes():
                self._outbox.send(self._backend.prefixes(request.id))
            case Ping():
                self._outbox.send(Pong(request.id, self._batches()))
            case FindDevices():
                threading.Thread(target=self._find_devices, args=(request.workers,), name="devices").start()
            case Load():
                self._start(request)

    def _find_devices(self, workers: list[str]) -> None:
        """Send DevicesFound or LoadFailed. Runs in a thread of its own, because workers may take seconds to answer."""
        try:
            remote, missing = Workers(workers).connect() if workers else ([], [])
        except LibraryError as error:
            self._outbox.send(LoadFailed(*to_data(error)))
            return
        self._devices = remote + local_devices()
        self._outbox.send(DevicesFound([device.memory() for device in self._devices], missing))

    # --- engine thread -----------------------------------------------------------------------------------------

    def _compute(self, load: Load) -> None:
        try:
            if self._load(load):
                self._backend.run()
        except BaseException:
            log.exception("the engine failed")
            os._exit(_EXIT_BUG)  # as good as a crash: the server replaces this process

    def _load(self, load: Load) -> bool:
        """Load the model and send Loaded; False if it can't be loaded, after sending LoadFailed."""
        try:
            model, self._backend = load_model(load, self._devices, self._reserved_refusal, self._outbox.send)
        except SwellError as error:
            self._outbox.send(LoadFailed(*to_data(error)))
            return False
        self._tokenizer = Tokenizer(model.vocabulary, self._outbox.send)
        self._batches = self._backend.batches
        self._outbox.send(self._backend.describe())
        return True
