"""Renders chat templates in processes of their own."""

from typing import Protocol

from swell.sandbox.processes import Processes
from swell.sandbox.rendering_jobs import RenderJob

CPU_LIMIT_S = 5.0
"""For one rendering. A conversation of 500,000 characters takes a hundredth of a second."""
_MEMORY_LIMIT_BYTES = 1 << 30
_PROCESSES_MAX = 4


class Renders(Protocol):
    """Makes prompts of conversations."""

    async def render(self, job: RenderJob) -> str:
        """What the template writes. Raises as `Processes.run`, which is if it refuses or takes too long, too."""

    async def warm(self) -> None:
        """Get ready for the first request."""

    async def close(self) -> None:
        """End what was started."""


class Renderer:
    """Renders in up to four processes."""

    def __init__(self, limit_s: float = CPU_LIMIT_S) -> None:
        """A rendering may compute for `limit_s`."""
        self._processes = Processes(_PROCESSES_MAX, limit_s=limit_s, limit_bytes=_MEMORY_LIMIT_BYTES)

    async def render(self, job: RenderJob) -> str:
        return await self._processes.run(job)

    async def warm(self) -> None:
        await self._processes.warm()

    async def close(self) -> None:
        await self._processes.close()
