"""Frames on their way to the server."""

import asyncio
import contextlib
import socket
import threading

from swell.protocol.framing import encode
from swell.protocol.messages import Reply


class Outbox:
    """Sends replies in order, from any thread, and never waits for the server.

    A frame goes into the socket from the thread that made it. To hand it to the event loop instead takes two changes of
    threads, each with a wait for the GIL: 216 µs of CPU per step, measured, against 10 for the system call. Only what
    the socket doesn't take at once is left to the loop.
    """

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """`connection` is not blocking, and stays the caller's."""
        self._socket = connection.dup()  # the loop doesn't watch a transport's own descriptor for others
        self._loop = loop
        self._lock = threading.Lock()
        self._unsent = bytearray()

    def send(self, reply: Reply) -> None:
        """Send `reply` after all that were sent before. Returns at once; callable from any thread."""
        frame = encode(reply)
        with self._lock:
            if self._unsent:
                self._unsent += frame
            elif (sent := self._try(frame)) < len(frame):
                self._unsent += frame[sent:]
                with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
                    self._loop.call_soon_threadsafe(self._loop.add_writer, self._socket, self._flush)

    def _flush(self) -> None:
        with self._lock:
            del self._unsent[: self._try(self._unsent)]
            if not self._unsent:
                self._loop.remove_writer(self._socket)

    def _try(self, data: bytes | bytearray) -> int:
        """How many bytes the socket took; all if the connection is closed, so that they are dropped."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def close(self) -> None:
        """Drop what is unsent."""
        self._loop.remove_writer(self._socket)
        self._socket.close()
