"""llama.cpp's quantiser, run as a program of its own (`swell.llama.quantization`), with its progress."""

import asyncio
import contextlib
import math
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

from swell.errors import InvalidRequestError, QuantizeError
from swell.library.recipe import UNQUANTIZED
from swell.models.weights import Weights
from swell.processors.allowance import Allowance
from swell.store.progress import Progress

_BITS = {"F32": 32.0, "F16": 16.0, "BF16": 16.0, "Q8_0": 8.5, "Q4_K_S": 4.7, "Q4_K_M": 5.0}
"""About how many each weight takes; progress is told by it."""
_LOOK_S = 0.2
_REASON_MAX_BYTES = 1000


class Quantizer:
    """Runs one conversion at a time: each takes every processor that answers leave."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._allowance = Allowance()

    async def quantize(
        self, weights: Weights, digest: str, file_type: str, destination: Path
    ) -> AsyncGenerator[Progress, None]:
        """Write `weights`, which the blob `digest` holds, to a file as `file_type`.

        Raises InvalidRequestError if they are quantised already, and QuantizeError.
        """
        if weights.quantization_level not in UNQUANTIZED:
            raise InvalidRequestError("quantization is only supported for F16, BF16 and F32 models")
        level = "F32" if weights.quantization_level == "unknown" else weights.quantization_level
        total = math.ceil(weights.header.parameter_count * _BITS[file_type] / 8)
        status = f"quantizing {level} model to {file_type}"
        yield Progress(status, digest, total=total)
        async with self._turn, self._running(weights.path, destination, file_type) as conversion:
            while not conversion.done():
                await asyncio.wait([conversion], timeout=_LOOK_S)
                yield Progress(status, digest, total=total, completed=min(destination.stat().st_size, total))
            conversion.result()
        yield Progress(status, digest, total=total, completed=total)

    async def join(self, parts: Sequence[Path], destination: Path) -> None:
        """Write a split model as one file. `parts` are in order, whatever they are called. Raises QuantizeError."""
        with tempfile.TemporaryDirectory(prefix="swell-split-") as folder:
            count = len(parts)
            names = [Path(folder, f"model-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]
            for name, part in zip(names, parts, strict=True):
                name.symlink_to(part.absolute())
            async with self._turn, self._running(names[0], destination, "COPY") as conversion:
                await conversion

    @contextlib.asynccontextmanager
    async def _running(self, source: Path, destination: Path, file_type: str) -> AsyncIterator["asyncio.Task[None]"]:
        """The program at its work. Whoever leaves before it has ended, ends it."""
        arguments = (str(source), str(destination), file_type, str(self._allowance.threads()))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "swell.llama.quantization", *arguments),
            stdin=PIPE,  # it ends with this server's end of the pipe
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
        )
        conversion = asyncio.create_task(_ended(process))
        try:
            yield conversion
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.wait([conversion])


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Returns when the program has ended well; raises QuantizeError if it hasn't."""
    assert process.stderr is not None
    said = b""
    while piece := await process.stderr.read(1 << 14):
        said = (said + piece)[-_REASON_MAX_BYTES:]
    code = await process.wait()
    if code != 0:
        raise QuantizeError(said.decode("utf-8", "replace").strip() or f"llama.cpp ended with {code}")
