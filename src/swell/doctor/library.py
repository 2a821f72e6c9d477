"""What llama.cpp is and can do, found out by a process of its own: it may be missing, or end the process."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

import msgspec

from swell.doctor.facts import LibraryFacts, LibraryFailure

_REASON_LINES = 4
_TIMEOUT_S = 120


async def library_facts() -> LibraryFacts | LibraryFailure:
    """Asks a process, which takes half a second; one that hangs is ended after two minutes, or with this task."""
    # -P: a directory called `swell` where the user happens to be must not be taken for the package
    command = [sys.executable, "-P", "-m", "swell.doctor.library_check"]
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        return LibraryFailure(exit_code=0, reason=str(error))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, errors = await process.communicate()
        return msgspec.json.decode(output, type=LibraryFacts)
    except TimeoutError:
        return LibraryFailure(exit_code=0, reason=f"it gave no answer within {_TIMEOUT_S} s")
    except msgspec.DecodeError:
        lines = errors.decode("utf-8", "replace").strip().splitlines()[-_REASON_LINES:]
        return LibraryFailure(exit_code=process.returncode or 0, reason="\n".join(lines))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
