"""The process of one transfer: a job on standard input, messages on standard output.

It ends with its standard input, so it never outlives the server; and it may be killed at any time, because whatever it
leaves is sound. Nothing it does takes the server's interpreter.
"""

import logging
import os
import signal
import sys
import threading

import msgspec

from swell.errors import SwellError, to_data
from swell.priority import compute_last
from swell.registry.client import RegistryClient
from swell.registry.messages import Direction, TransferFailed, TransferJob, TransferMessage
from swell.registry.pulling import pull
from swell.registry.pushing import push
from swell.registry.reporter import Reporter

log = logging.getLogger(__name__)


def main() -> None:
    """Run the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the server decides
    compute_last()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library might print is no message
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=TransferJob)
    threading.Thread(target=_end_with_input, name="lifeline", daemon=True).start()
    reporter = Reporter(out, job)
    reporter.end(_run(job, reporter))


def _run(job: TransferJob, reporter: Reporter) -> TransferMessage:
    try:
        with RegistryClient(job) as client:
            return pull(job, client, reporter) if job.direction is Direction.PULL else push(job, client, reporter)
    except SwellError as error:
        return TransferFailed(*to_data(error))
    except Exception as bug:
        log.exception("a transfer failed for a reason that isn't known")
        return TransferFailed(*to_data(bug))


def _end_with_input() -> None:
    while sys.stdin.buffer.read(1):
        """Nothing more is said; only the end counts."""
    os._exit(1)


if __name__ == "__main__":
    main()
