"""A fleet of processes on this machine, without Ray: what is tested is all that Ray has no part in."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import msgspec
import psutil
from tests.fleet.network import Network
from tests.waiting import PATIENCE_S, wait_until

from swell.fleet.directory import ReplicaAddress
from swell.fleet.front import FleetScheduler
from swell.fleet.messages import LeaseRequest
from swell.fleet.model_key import model_key
from swell.host import HostAddress
from swell.models.catalog import Catalog
from swell.protocol.framing import encode
from swell.serve import Server
from swell.settings import Settings

MODEL = "smollm2:135m"


@dataclass
class Machine:
    """A replica's process."""

    address: ReplicaAddress
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def name(self) -> str:
        return self.address.name

    def tree(self) -> list[psutil.Process]:
        """Its process and its runners."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def kill(self) -> None:
        """As when a machine loses its power: everything at once."""
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        for process in self.tree():
            process.send_signal(number)

    def stop(self) -> None:
        """Have it drain and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@dataclass
class FixedDirectory:
    """Replicas that a test has put in."""

    addresses: list[ReplicaAddress] = field(default_factory=list)

    async def replicas(self) -> Sequence[ReplicaAddress]:
        return tuple(self.addresses)


@dataclass
class Fleet:
    """A front in this process, and machines."""

    front: Server
    directory: FixedDirectory
    folder: Path
    environment: Mapping[str, str]
    stack: contextlib.ExitStack
    http: httpx.Client
    machines: dict[str, Machine] = field(default_factory=dict)

    def add(self, name: str, network: Network | None = None, **environment: str) -> Machine:
        """One more machine, in a `network` of its own or on loopback."""
        log = self.folder / f"{name}.log"
        output: IO[bytes] = self.stack.enter_context(log.open("wb"))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "SWELL_"))}
        process = subprocess.Popen(
            [
                *(("ip", "netns", "exec", network.name) if network else ()),
                *(sys.executable, "-m", "tests.fleet.replica", name),
                network.address if network else "127.0.0.1",
            ],
            env={
                **inherited,
                "OLLAMA_MODELS": str(self.folder / "no store"),
                "OLLAMA_KEEP_ALIVE": "-1",
                **self.environment,
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
        assert process.stdout is not None
        self.stack.callback(_end, process)
        address = msgspec.json.decode(process.stdout.readline(), type=ReplicaAddress)
        self.directory.addresses.append(address)
        machine = self.machines[name] = Machine(address, process, log)
        return machine

    def warm(self, name: str) -> None:
        """Have a machine load the model."""
        address = self.machines[name].address
        request = LeaseRequest(
            secret=address.secret, model=MODEL, key=model_key(Catalog().find(MODEL, allow_path=False))
        )
        with socket.create_connection((address.host, address.port), PATIENCE_S) as connection:
            connection.sendall(encode(request))
            assert b"Loaded" in connection.recv(1 << 16)
        wait_until(lambda: name in self.places(), f"{name} has reported")

    def places(self) -> list[str]:
        """The machines that have the model loaded."""
        return [place["replica"] for row in self.rows() for place in row["replicas"]]

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/api/ps").json()["models"]
        return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a machine, frozen or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        for one in [*parent.children(recursive=True), parent]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGCONT)
    if process.stdin and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def running_fleet(folder: Path, *names: str, silence_s: float = 2.0, **environment: str) -> Iterator[Fleet]:
    """A front, and a machine for each of `names`. Models in `folder` are the front's only."""
    settings = Settings(
        host=HostAddress("http", "127.0.0.1", 0),
        store_dir=folder / "no store",
        models_dir=folder,
        fleet_silence_s=silence_s,
    )
    directory = FixedDirectory()
    with (
        contextlib.ExitStack() as stack,
        Server(settings, scheduler=FleetScheduler(settings, directory, Catalog())) as front,
        httpx.Client(base_url=front.url, timeout=PATIENCE_S * 4, trust_env=False) as http,
    ):
        fleet = Fleet(front, directory, folder, environment, stack, http)
        for name in names:
            fleet.add(name)
        yield fleet
