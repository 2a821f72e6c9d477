"""`python -m tests.fleet.replica NAME HOST`: a replica in a process of its own, until its standard input ends."""

import os
import sys

import msgspec

from swell.fleet.replica_thread import ReplicaThread
from swell.observe.log_format import set_up_log
from swell.settings import Settings


def main() -> None:
    settings = Settings.from_environment()
    set_up_log(settings.log_level, settings.log_format)
    replica = ReplicaThread(settings, sys.argv[1], f"node of {sys.argv[1]}")
    print(msgspec.json.encode(replica.start(sys.argv[2])).decode(), flush=True)
    while os.read(0, 4096):
        pass
    replica.stop(settings.drain_s)


if __name__ == "__main__":
    main()
