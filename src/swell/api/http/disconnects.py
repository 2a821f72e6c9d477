"""Work that ends when the client goes away.

Neither uvicorn nor Starlette ends a request's task when its client disconnects; somebody has to wait for the
"http.disconnect" message. Starlette's StreamingResponse does so only once it streams, which is after a prefill that may
take minutes, and a plain endpoint never does. Here all work on a request, from the wait for a model to the last line,
is one task beside a second one that waits for that message.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled, and waited for, if the client goes away: ClientDisconnect.

    The request's body must have been read: any message that `receive` still has is thrown away.
    """
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (task, watcher):
            one.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)
    try:
        if task.cancelled():
            watcher.result()  # raises if the watcher was cancelled too: then it wasn't the client who ended the work
            raise ClientDisconnect
        return task.result()
    finally:
        del task, watcher  # they hold their errors, which hold this frame


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
