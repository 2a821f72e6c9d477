"""A fleet on a real Ray cluster: two nodes on this machine, or more, each a raylet with processes of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.e2e.streams import python_path
from tests.waiting import PATIENCE_S, wait_until

MODEL = "smollm2:135m"
NODES_ENVIRONMENT = {
    # Ray on loopback only, and silent
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_DEDUP_LOGS": "0",
    "PYTHONPATH": python_path("paced"),
}
"""Ray starts a node's processes with what this one has."""
_NODE: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 80_000_000, "node_ip_address": "127.0.0.1"}
_SOON_NOTICED = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


class RayFleet:
    """The front's address, and the nodes behind it. The head has the front and no replica."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_S * 4, trust_env=False)
        self.environment = {
            "OLLAMA_HOST": f"127.0.0.1:{port}",
            "OLLAMA_MODELS": str(folder / "no store"),
            "OLLAMA_NUM_PARALLEL": "8",
            "OLLAMA_KEEP_ALIVE": "-1",
            "SWELL_FLEET_SILENCE": "3s",
            "SWELL_DRAIN": "2m",  # longer than eight stories take on a busy machine
        }
        self._cluster = Cluster()
        self._cluster.add_node(num_cpus=0, _system_config=_SOON_NOTICED, **_NODE)
        self._nodes: list[Any] = []
        self._command: subprocess.Popen[bytes] | None = None
        self._log = (folder / "command.log").open("wb")

    def start(self, replicas: int) -> None:
        """Begin to serve with so many replicas, a node for each."""
        import ray

        for _ in range(replicas):
            self.add_node()
        ray.init(address=self._cluster.address, namespace="tests", log_to_driver=False)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "SWELL_"))}
        bounds = ["--min", str(replicas), "--max", str(replicas)]
        self._command = subprocess.Popen(
            [sys.executable, "-m", "swell", "fleet", "--address", self._cluster.address, *bounds],
            env={**inherited, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        wait_until(lambda: self.has_replicas(replicas), "replicas are there", PATIENCE_S * 4)

    def deploy(self, **options: Any) -> None:
        """Run the application, or replace the one that runs."""
        from ray import serve

        from swell.fleet.application import FleetOptions, application

        options = {"environment": self.environment, **options}
        serve.run(application(FleetOptions(**options)), name="swell", route_prefix=None)

    def add_node(self) -> None:
        """One more node, with room for one replica."""
        self._nodes.append(self._cluster.add_node(num_cpus=1, **_NODE))

    def replica_processes(self) -> list[psutil.Process]:
        """The processes of replicas, without their runners, in the order of their nodes."""
        return [process for node in self._nodes for process in _named(node, "swell:replica")]

    def front_process(self) -> psutil.Process:
        (found,) = _named(self._cluster.head_node, "swell:front")
        return found

    def kill_node(self, index: int) -> None:
        """As when a machine loses its power: all processes of a node at once."""
        node = self._nodes.pop(index)
        raylet = _raylet(node)
        for process in [raylet, *raylet.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._cluster.remove_node(node, allow_graceful=False)

    def places(self) -> list[str]:
        """The replicas that have the model loaded."""
        rows = self.http.get("/api/ps").json()["models"]
        return [place["replica"] for row in rows for place in row["replicas"]]

    def busy(self) -> dict[str, int]:
        """How many requests are in each replica that has the model loaded, by its node."""
        rows = self.http.get("/api/ps").json()["models"]
        return {place["node"]: place["requests"] for row in rows for place in row["replicas"]}

    def busiest(self) -> int:
        """The index of the node whose replica has most requests; some, that is."""
        busy = self.busy()
        name = max(busy, key=lambda one: busy[one])
        assert busy[name] > 0
        (found,) = [index for index, node in enumerate(self._nodes) if name.endswith(f"/{node.node_id[:8]}")]
        return found

    def has_replicas(self, count: int) -> bool:
        """Whether the front knows of exactly so many."""
        with contextlib.suppress(httpx.TransportError):
            return self._count() == count
        return False

    def _count(self) -> int:
        text = self.http.get("/metrics").text
        return sum(line.startswith("swell_replica_free_bytes{") for line in text.splitlines())

    def warm(self) -> None:
        """Have all replicas load the model: each takes some turn of many."""
        from tests.fleet.stories import BEGINNINGS, tell_all

        def is_warm() -> bool:
            tell_all(self.url, BEGINNINGS)
            return len(self.places()) == len(self._nodes)

        wait_until(is_warm, "all replicas have the model loaded", PATIENCE_S * 3)

    def stop(self) -> None:
        """End everything that was started."""
        import ray
        from ray import serve

        self.http.close()
        for process in self.replica_processes():
            process.send_signal(signal.SIGCONT)
        try:
            if self._command is not None:
                self._command.terminate()
                assert self._command.wait(PATIENCE_S * 2) == 0
        finally:
            if ray.is_initialized():
                serve.shutdown()
                ray.shutdown()
            self._cluster.shutdown()
            self._log.close()


def _named(node: Any, name: str) -> list[psutil.Process]:
    """The node's processes for a deployment."""
    found = []
    for process in _raylet(node).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in " ".join(process.cmdline()):
                found.append(process)
    return found


def _raylet(node: Any) -> psutil.Process:
    (info,) = node.all_processes["raylet"]
    return psutil.Process(info.process.pid)


@contextlib.contextmanager
def running_on_ray(folder: Path, replicas: int) -> Iterator[RayFleet]:
    """A fleet with so many replicas; nothing of it is left afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NODES_ENVIRONMENT.items():
            patch.setenv(name, value)
        fleet = RayFleet(folder)
        try:
            fleet.start(replicas)
            yield fleet
        finally:
            fleet.stop()
