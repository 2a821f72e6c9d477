"""Servers that are killed while models are made, moved and deleted: the store stays valid, the next try completes."""

import hashlib
import os
import random
import threading
import time
from pathlib import Path

import httpx
import ollama
import psutil
import pytest
from tests.e2e.server import running
from tests.registry.real import docker_registry
from tests.tiny.speller import write_speller
from tests.waiting import wait_until

from swell.store.store import Store

KILLS = 12
LONGEST_S = 2.0
"""All of `change` takes about so long."""
DAY_S = 24 * 3600


def change(url: str, host: str, weights: Path, number: int) -> None:
    """All that can be done to models, with blobs that no model had before; `host` is a registry."""
    with ollama.Client(host=url) as client:
        digest = client.create_blob(weights)
        client.create("base", files={"a.gguf": digest}, system=f"You are number {number}." * 1000)
        client.create("small", from_="base", quantize="q8_0", license=f"License {number}")
        client.copy("small", f"copy{number % 3}")
        client.create("base", from_="small", parameters={"num_ctx": 100 + number})
        client.delete("small")
        client.copy("base", f"{host}/me/base")
        client.push(f"{host}/me/base", insecure=True)
        client.delete(f"{host}/me/base")
        client.delete("base")
        client.pull(f"{host}/me/base", insecure=True)
        client.copy(f"{host}/me/base", "base")


def check(store: Store) -> None:
    """Every model is whole."""
    for _, path in store.manifests.files():
        _, manifest = store.read(path)
        for layer in manifest.all_layers:
            blob = store.blobs.find(layer.digest)
            assert blob is not None
            content = blob.read_bytes()
            assert len(content) == layer.size
            assert layer.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.mark.slow
@pytest.mark.destructive
def test_a_server_that_is_killed_leaves_a_valid_store(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as host:
        kill_and_check(tmp_path, host)


def kill_and_check(tmp_path: Path, host: str) -> None:
    weights = tmp_path / "speller.gguf"
    write_speller(weights)
    folder = tmp_path / "models"
    store, moments = Store(folder), random.Random(4)
    for number in range(KILLS):
        with running(tmp_path / "log", {"OLLAMA_MODELS": str(folder)}) as server:
            killer = threading.Timer(moments.uniform(0, LONGEST_S), server.process.kill)
            server.http.get("/")  # it is up
            killer.start()
            try:
                change(server.url, host, weights, number)
            except (httpx.TransportError, ConnectionError):
                server.process.wait()
            killer.join()
            server.process.wait()
        check(store)
    wait_until(lambda: not helpers(folder), "quantisers and transfers end with their servers")
    with running(tmp_path / "log", {"OLLAMA_MODELS": str(folder)}) as server:
        change(server.url, host, weights, KILLS)
        assert server.ask("/api/generate", model="base", prompt="Hi", options={"num_predict": 3})["eval_count"] == 3
    check(store)
    make_old(folder)
    store.prune()
    needed = {digest.replace(":", "-") for digest in store.manifests.mentioned()}
    assert {path.name for path in store.blobs.folder.iterdir()} == needed


def helpers(folder: Path) -> list[psutil.Process]:
    """The processes that have files of the store open, or named in their commands."""
    return [process for process in psutil.process_iter() if str(folder) in _files(process)]


def _files(process: psutil.Process) -> str:
    try:
        return " ".join([*process.cmdline(), *(file.path for file in process.open_files())])
    except psutil.Error:
        return ""


def make_old(folder: Path) -> None:
    """As old as what is left of a download must be before it is deleted."""
    then = time.time() - 8 * DAY_S
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
