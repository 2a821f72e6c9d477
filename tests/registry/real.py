"""Real programs: Debian's `docker-registry`, and `skopeo`, which is another client for registries."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.registry.scripted import digest
from tests.waiting import wait_until

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


def program(name: str) -> str:
    """Where it is; fails if it isn't installed."""
    found = shutil.which(name)
    assert found, f"{name} isn't installed: `make test` does that for root on Debian, or apt-get install {name}"
    return found


@contextmanager
def docker_registry(folder: Path, auth: Mapping[str, object] | None = None) -> Iterator[str]:
    """A registry that keeps its data in `folder`; its host and port."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": host},
        **({"auth": auth} if auth else {}),
    }
    file = folder / "config.yml"
    file.write_text(json.dumps(configuration))  # which is YAML, too
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program("docker-registry"), "serve", file], stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _answers(host), "the registry answers")
        assert process.poll() is None, (folder / "log").read_text()
        yield host
    finally:
        process.kill()
        process.wait()


def _answers(host: str) -> bool:
    try:
        return httpx.get(f"http://{host}/v2/", trust_env=False).status_code in (200, 401)
    except httpx.TransportError:
        return False


def skopeo(*arguments: str) -> str:
    """What it writes. Fails if it fails."""
    run = subprocess.run([program("skopeo"), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def directory(folder: Path, layers: Sequence[bytes], kind: str) -> Path:
    """A model as skopeo reads it from a folder, with layers of one media type."""
    folder.mkdir()
    sums = [digest(content) for content in layers]
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": sums}})
    for content in (*layers, config.encode()):
        (folder / digest(content).removeprefix("sha256:")).write_bytes(content)
    described = [
        {"mediaType": kind, "digest": which, "size": len(content)} for which, content in zip(sums, layers, strict=True)
    ]
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest(config.encode()), "size": len(config)},
        "layers": described,
    }
    (folder / "manifest.json").write_text(json.dumps(fields))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    return folder
