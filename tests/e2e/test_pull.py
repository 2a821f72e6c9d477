"""Models that come from a real registry and go to it, by the official client, on a real server and the real model."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import ollama
import psutil
import pytest
from tests.e2e.server import Server, running
from tests.e2e.streams import STORY, answer, kill_runner
from tests.registry.real import docker_registry
from tests.waiting import wait_until

from swell.store.store import Store

QUESTION = [{"role": "user", "content": "Who are you?"}]
GREEDY = {"temperature": 0, "num_predict": 8}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("real") / "registry") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def own_server(folder: Path, log: Path) -> Iterator[Server]:
    with running(log, {"OLLAMA_MODELS": str(folder)}) as started:
        yield started


@pytest.fixture
def client(own_server: Server) -> Iterator[ollama.Client]:
    with ollama.Client(host=own_server.url) as connected:
        yield connected


@pytest.fixture
def pirate(client: ollama.Client, host: str) -> str:
    """A model in the registry, and no longer in the store."""
    name = f"{host}/me/pirate:v1"
    client.create(
        name, from_="smollm2:135m", system="You are a pirate.", parameters={"num_predict": 6, "temperature": 0}
    )
    assert client.push(name, insecure=True).status == "success"
    client.delete(name)
    return name


def test_a_model_goes_and_comes_back(client: ollama.Client, pirate: str, folder: Path) -> None:
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.show(pirate)
    steps = list(client.pull(pirate, insecure=True, stream=True))
    told = [str(step.status) for step in steps]
    assert told[0] == "pulling manifest"
    assert told[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    layers = {step.digest: step for step in steps if step.digest}
    assert len(layers) == 4
    for digest, step in layers.items():
        assert step.status == f"pulling {str(digest)[7:19]}"
        assert step.completed == step.total == (folder / "blobs" / str(digest).replace(":", "-")).stat().st_size
    assert client.chat(pirate, messages=QUESTION).eval_count == 6
    again = list(client.pull(pirate, insecure=True, stream=True))
    assert {step.digest: step.completed for step in again if step.digest} == {d: s.total for d, s in layers.items()}


def test_a_base_that_is_not_here_is_pulled(client: ollama.Client, pirate: str, host: str) -> None:
    with pytest.raises(
        ollama.ResponseError, match=r"the connection to .* failed"
    ):  # by TLS, to a registry that has none
        client.create("child", from_=pirate)
    client.pull(pirate, insecure=True)
    client.create("child", from_=pirate, system="You are a parrot.")
    assert "parrot" in str(client.show("child").modelfile)


def test_what_a_registry_has_not(client: ollama.Client, host: str) -> None:
    missing = f"{host}/me/nothing"
    with pytest.raises(ollama.ResponseError, match="pull model manifest: file does not exist") as error:
        client.pull(missing, insecure=True)
    assert error.value.status_code == 500
    stream = iter(client.pull(missing, insecure=True, stream=True))
    assert next(stream).status == "pulling manifest"
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        list(stream)


def test_names_that_need_permission(own_server: Server, host: str) -> None:
    for path, name, text in [
        ("/api/pull", f"http://{host}/me/x", "insecure protocol http"),
        ("/api/push", f"http://{host}/me/x", "insecure protocol http"),
        ("/api/pull", "a b", "invalid model name"),
        ("/api/pull", "", "invalid model name"),
        ("/api/push", "", "model is required"),
    ]:
        response = own_server.http.post(path, json={"model": name, "stream": False})
        assert (response.status_code, response.json()["error"]) == (400, text)


def test_pulls_of_one_model_are_one(client: ollama.Client, pirate: str, own_server: Server) -> None:
    results: list[str] = []

    def pull() -> None:
        with ollama.Client(host=own_server.url) as one:
            results.append(str(list(one.pull(pirate, insecure=True, stream=True))[-1].status))

    threads = [threading.Thread(target=pull) for _ in range(8)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, sum("swell.registry" in _command(child) for child in own_server.children()))
    assert results == ["success"] * 8
    assert most <= 1


def _command(child: psutil.Process) -> list[str]:
    try:
        return child.cmdline()
    except psutil.Error:
        return []


@pytest.mark.destructive
def test_a_new_version_does_not_disturb_answers_of_the_old_one(
    client: ollama.Client, model_path: Path, host: str, own_server: Server, folder: Path, tmp_path: Path
) -> None:
    """The weights that the tag no longer names are needed once more: by the runner that goes on."""
    other = tmp_path / "other.gguf"
    content = bytearray(model_path.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    name = f"{host}/me/changing:latest"
    client.create(name, files={"new.gguf": client.create_blob(other)})
    client.push(name, insecure=True)
    client.create(name, files={"old.gguf": client.create_blob(model_path)})
    whole = answer(own_server, "/api/generate", {"model": name, "prompt": STORY, "raw": True})
    old_digest = client.show(name).modelfile

    def change(line: int) -> None:
        if line == 5:
            client.pull(name, insecure=True)
            assert client.show(name).modelfile != old_digest
            kill_runner(own_server)

    assert answer(own_server, "/api/generate", {"model": name, "prompt": STORY, "raw": True}, change) == whole
    store = Store(folder)
    needed = {digest.replace(":", "-") for digest in store.manifests.mentioned()}
    wait_until(lambda: {path.name for path in (folder / "blobs").iterdir()} == needed, "the old weights are deleted")


def test_a_client_that_leaves_ends_the_pull(own_server: Server, pirate: str, folder: Path) -> None:
    with own_server.http.stream("POST", "/api/pull", json={"model": pirate, "insecure": True}) as response:
        next(response.iter_lines())
    wait_until(
        lambda: not any("swell.registry" in _command(child) for child in own_server.children()), "the transfer ends"
    )
    assert httpx.post(
        f"{own_server.url}/api/pull", json={"model": pirate, "insecure": True, "stream": False}, timeout=60
    ).json() == {"status": "success"}
