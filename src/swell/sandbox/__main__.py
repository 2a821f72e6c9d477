"""A process of the sandbox: does the jobs that come through standard input, one after the other, until that ends.

Its arguments say how many seconds it may compute for each, and how many bytes of memory it may have.
"""

import contextlib
import pickle
import resource
import signal
import sys

from swell.errors import InvalidTemplateError, RequestError
from swell.sandbox.job import LENGTH, TEXT_MAX, Answer, Job, JobDone, Refused, Unreadable, frame


def main() -> None:
    """Run the process. The kernel enforces its limits: it ends it after too long a job, and refuses it more memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the server decides
    limit_s, limit_bytes = float(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    while length := sys.stdin.buffer.read(LENGTH.size):
        data = sys.stdin.buffer.read(*LENGTH.unpack(length))
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        job: Job = pickle.loads(data)
        answer = frame(_answer(job))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


def _answer(job: Job) -> Answer:
    try:
        text = job.run()
    except InvalidTemplateError as error:
        return Unreadable(error.reason, error.line)
    except RequestError as error:
        return Refused(str(error))
    except MemoryError:
        return Refused(f"{job.NAME} takes too much memory for this request")
    if len(text) > TEXT_MAX:
        return Refused(f"{job.NAME} writes too much for this request")
    return JobDone(text)


if __name__ == "__main__":
    main()
