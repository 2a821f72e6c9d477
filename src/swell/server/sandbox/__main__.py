"""The process: renders what comes through standard input, one after the other, until that ends.

Its argument says how many seconds it may compute for each.
"""

import contextlib
import pickle
import resource
import signal
import sys

from swell.errors import InvalidRequestError
from swell.server.sandbox.job import (
    LENGTH,
    MEMORY_LIMIT_BYTES,
    TEXT_MAX,
    Refused,
    Render,
    Rendered,
    frame,
)


def main() -> None:
    """The kernel enforces the limits: it ends a process that computes for too long, and gives it no more memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the server decides
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    limit_s = float(sys.argv[1])
    while length := sys.stdin.buffer.read(LENGTH.size):
        data = sys.stdin.buffer.read(*LENGTH.unpack(length))
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        job: Render = pickle.loads(data)
        answer = frame(_answer(job))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


def _answer(job: Render) -> Rendered | Refused:
    try:
        text = job.run()
    except InvalidRequestError as error:
        return Refused(str(error))
    except MemoryError:
        return Refused("the model's chat template takes too much memory for this request")
    if len(text) > TEXT_MAX:
        return Refused("the model's chat template writes too much for this request")
    return Rendered(text)


if __name__ == "__main__":
    main()
