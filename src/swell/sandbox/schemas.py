"""Checks JSON schemas in processes: one of 4,000 characters can describe a grammar that takes all memory there is."""

import hashlib
from collections import OrderedDict
from typing import Protocol

from swell.errors import InvalidRequestError
from swell.sandbox.job import CheckSchema
from swell.sandbox.processes import Processes

SCHEMA_CHARACTERS_MAX = 1 << 20
"""Reading a schema keeps Python's other threads waiting, some 5 ms for so many characters."""
CPU_LIMIT_S = 2.0
"""For one check. That of an enum of 10,000 values takes 0.03 s."""
_MEMORY_LIMIT_BYTES = 256 << 20
"""The runner needs as much, too. A process with an enum of 40,000 values takes 92 MB."""
_PROCESSES_MAX = 2
_REMEMBERED = 256


class ChecksSchemas(Protocol):
    """Checks whether output can follow a schema."""

    async def check(self, schema: str) -> None:
        """Raise InvalidRequestError for a schema that makes no sense, or takes too much time or memory to follow."""

    async def close(self) -> None:
        """End what was started."""


class SchemaChecker:
    """Checks in up to two processes, apart from those that render. A schema that has passed isn't checked again."""

    def __init__(self, limit_s: float = CPU_LIMIT_S) -> None:
        """A check may compute for `limit_s`."""
        self._processes = Processes(_PROCESSES_MAX, limit_s=limit_s, limit_bytes=_MEMORY_LIMIT_BYTES)
        self._passed = OrderedDict[bytes, None]()

    async def check(self, schema: str) -> None:
        if len(schema) > SCHEMA_CHARACTERS_MAX:
            raise InvalidRequestError(
                f"invalid format: the JSON schema has {len(schema)} characters; {SCHEMA_CHARACTERS_MAX} are allowed"
            )
        key = hashlib.sha256(schema.encode("utf-8", "surrogatepass")).digest()
        if key not in self._passed:
            await self._processes.run(CheckSchema(schema=schema))
        self._passed[key] = None
        self._passed.move_to_end(key)
        if len(self._passed) > _REMEMBERED:
            self._passed.popitem(last=False)

    async def close(self) -> None:
        await self._processes.close()
