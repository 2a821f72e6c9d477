"""What Ray Serve runs of a fleet: the front, and replicas. Serve places, watches and replaces them, and decides by
`scaling` how many there are; what goes between them goes over connections of their own.

The front listens itself, as `swell serve` does. Through Serve's HTTP proxy a token would cost 0.9 ms of processor time
more, measured: several times what the whole front takes.
"""

import logging
import os
import socket
import threading
from collections.abc import Mapping

import ray
from ray import serve

from swell.fleet.front import FleetScheduler
from swell.fleet.ray_directory import ANNOUNCE_S, RayDirectory
from swell.fleet.replica_thread import ReplicaThread
from swell.fleet.scaling import demand
from swell.models.catalog import whole_catalog
from swell.observe.log_format import set_up_log
from swell.serve import Server
from swell.settings import Settings
from swell.store.store import Store

log = logging.getLogger(__name__)


class ReplicaDeployment:
    """A replica, in one of Serve's processes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Settings are those of the node's environment, and before them those of `environment`."""
        self._settings = Settings.from_environment({**os.environ, **environment})
        set_up_log(self._settings.log_level, self._settings.log_format)
        name = serve.get_replica_context().replica_id.unique_id
        host = ray.util.get_node_ip_address()
        node = f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:8]}"
        self._thread = ReplicaThread(self._settings, name, node)
        self._address = self._thread.start(host)
        self._leaving = threading.Event()
        self._announcing = threading.Thread(target=self._announce, name="announce", daemon=True)
        self._announcing.start()

    def check_health(self) -> None:
        """Raises RuntimeError if the replica has ended; Serve then starts another one."""
        if not self._thread.is_running:
            raise RuntimeError("the replica has ended; its log says why")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What Serve's autoscaling decides by."""
        return {"demand": demand(self._thread.report())}

    def __del__(self) -> None:
        """Serve's way to end a replica: no more turns are taken, and those in progress are finished or move on."""
        if not hasattr(self, "_announcing"):
            return
        self._leaving.set()
        self._thread.stop(self._settings.drain_s)

    def _announce(self) -> None:
        directory = RayDirectory()
        while not self._leaving.wait(ANNOUNCE_S if self._announced else 0):
            try:
                ray.get(directory.actor.announce.remote(self._address), timeout=ANNOUNCE_S * 5)
                self._announced = True
            except Exception as error:  # it is being started elsewhere, or there is no way to it
                log.warning("the directory can't be told of this replica: %s", error)
        directory.actor.leave.remote(self._address)

    _announced = False


class FrontDeployment:
    """The front: a server whose scheduler is the fleet's."""

    def __init__(self, environment: Mapping[str, str], _replicas: object = None) -> None:
        """`_replicas` is there for Serve, which so knows that they belong together."""
        settings = Settings.from_environment({**os.environ, **environment})
        set_up_log(settings.log_level, settings.log_format)
        catalog = whole_catalog(
            Store(settings.store_dir, prunes=False, in_use=set), settings.models_dir, settings.template_preference
        )
        self._server = Server(settings, scheduler=FleetScheduler(settings, RayDirectory(), catalog))
        self._server.start()

    def url(self) -> str:
        """Where clients go."""
        return self._server.url

    def check_health(self) -> None:
        """Raises RuntimeError if the server has ended; Serve then starts another one."""
        if not self._server.is_running:
            raise RuntimeError("the front has ended; its log says why")

    def __del__(self) -> None:
        """Serve's way to end it: answers in progress are finished, for as long as the settings allow."""
        if hasattr(self, "_server"):
            self._server.stop()
