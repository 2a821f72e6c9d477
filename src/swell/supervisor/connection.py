"""What connects the server to a runner."""

import asyncio
from typing import Protocol

from swell.errors import RunnerLostError
from swell.loss import Loss


class RunnerConnection(Protocol):
    """A way to a runner and back: to a process of this machine, or to a replica that has leased one out."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def id(self) -> int:
        """What the log calls it."""

    def kills(self) -> int:
        """How many processes beside it the kernel has killed for want of memory, as far as that is known."""

    def was_alive(self, kills: int) -> None:
        """When there had been so many `kills`, it was none of them."""

    def kill(self, loss: Loss | None = None) -> None:
        """End it, if it hasn't ended. `loss` says why, if nothing else does."""

    async def exit_code(self) -> int | None:
        """The exit code, once the connection has ended; None where there is none."""

    def lost_error(self, exit_code: int | None) -> RunnerLostError:
        """What its end is to those who wait for it."""
