"""A lease on a replica, from the front's side: a connection to a runner that is somewhere else."""

import asyncio
import itertools

from swell.errors import RunnerLostError
from swell.fleet.keepalive import end_if_cut_off
from swell.loss import Loss

_numbers = itertools.count(1)


class LeaseConnection:
    """The connection to a runner on a replica; a RunnerConnection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.id = next(_numbers)

    @classmethod
    async def open(cls, host: str, port: int, limit_s: float) -> "LeaseConnection":
        """Raises RunnerLostError if the replica can't be reached within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                reader, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            raise RunnerLostError(None, Loss.REPLICA) from error
        end_if_cut_off(writer)
        return cls(reader, writer)

    def kills(self) -> int:
        return 0  # what the kernel does there, the replica knows

    def was_alive(self, kills: int) -> None:
        """Nothing follows from it here."""

    def kill(self, loss: Loss | None = None) -> None:
        """Break the connection: the replica ends what it did for it."""
        self.writer.transport.abort()

    async def exit_code(self) -> int | None:
        return None

    def lost_error(self, exit_code: int | None) -> RunnerLostError:
        return RunnerLostError(exit_code, Loss.REPLICA)
