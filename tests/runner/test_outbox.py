"""Frames from several threads, to a server that reads when it likes."""

import asyncio
import socket
import threading

from swell.protocol.framing import replies
from swell.protocol.messages import Reply, Tokenized
from swell.runner.outbox import Outbox

THREADS, EACH, TOKENS = 4, 200, 2000


def test_frames_arrive_whole_and_in_the_order_of_their_thread() -> None:
    """All of them are far more than a socket takes before somebody reads."""

    async def run() -> list[Tokenized]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        outbox = Outbox(ours, asyncio.get_running_loop())

        def write(thread: int) -> None:
            for number in range(EACH):
                outbox.send(Tokenized(thread, [number] * TOKENS))

        threads = [threading.Thread(target=write, args=(thread,)) for thread in range(THREADS)]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
        reader, writer = await asyncio.open_unix_connection(sock=theirs)
        found: list[Reply] = []
        async for together in replies(reader):
            found += together
            if len(found) == THREADS * EACH:
                break
        writer.close()
        ours.close()
        outbox.close()
        return [reply for reply in found if isinstance(reply, Tokenized)]

    received = asyncio.run(run())
    for thread in range(THREADS):
        assert [reply.tokens for reply in received if reply.id == thread] == [[n] * TOKENS for n in range(EACH)]


def test_a_server_that_is_gone_holds_nobody_up() -> None:
    """It went while frames waited for it; neither those nor later ones are kept, and nothing goes on trying."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        outbox = Outbox(ours, asyncio.get_running_loop())
        for number in range(EACH):
            outbox.send(Tokenized(number, [number] * TOKENS))
        assert len(outbox._unsent) > 0
        theirs.close()
        async with asyncio.timeout(5):
            while len(outbox._unsent):
                await asyncio.sleep(0)
        for number in range(EACH):
            outbox.send(Tokenized(number, [number] * TOKENS))
        assert len(outbox._unsent) == 0
        outbox.close()
        ours.close()

    asyncio.run(run())
