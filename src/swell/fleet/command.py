"""`swell fleet`: a fleet on a Ray cluster, for as long as the command runs."""

import os
import signal
import threading
from types import FrameType

from swell.settings import setting_names

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers

import ray
from ray import serve

from swell.fleet.application import FRONT, FleetOptions, application
from swell.fleet.ray_directory import NAMESPACE, RayDirectory

APPLICATION = "swell"


def given_environment() -> dict[str, str]:
    """The settings in this process's environment, which are to be those of the whole fleet."""
    return {name: os.environ[name] for name in setting_names() if name in os.environ}


def run(options: FleetOptions, address: str) -> None:
    """Serve until SIGINT or SIGTERM; then answers in progress are finished, as one machine does.

    `address` is the cluster's, "" for the one that this machine belongs to, or one of this machine alone if there is
    none. Raises ConnectionError if there is no cluster at `address`, RuntimeError if the fleet can't start.
    """
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    ray.init(address=address or None, namespace=NAMESPACE, include_dashboard=False, log_to_driver=True)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)  # only now: Ray has put its own there
        serve.start(proxy_location="Disabled")
        front = serve.run(application(options), name=APPLICATION, route_prefix=None)
        print(f"The {FRONT} is at {front.url.remote().result()}", flush=True)
        stopping.wait()
        serve.delete(APPLICATION)
        RayDirectory().close()
    finally:
        ray.shutdown()
