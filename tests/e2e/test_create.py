"""Models made, copied and deleted by the official client, on a real server and the real model."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest
from tests.e2e.server import Server, running
from tests.tiny.adapter import write_adapter
from tests.tiny.speller import write_speller
from tests.tiny.split import split_gguf

QUESTION = [{"role": "user", "content": "Who are you?"}]
OPTIONS = {"temperature": 0, "num_predict": 8}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("create") / "models"


@pytest.fixture(scope="module")
def own_server(store: Path) -> Iterator[Server]:
    with running(store.with_name("log"), {"OLLAMA_MODELS": str(store)}) as started:
        yield started


@pytest.fixture
def client(own_server: Server) -> Iterator[ollama.Client]:
    with ollama.Client(host=own_server.url) as connected:
        yield connected


@pytest.fixture(scope="session")
def f16_path(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model's weights as F16, 270 MB."""
    from swell.llama import logs
    from swell.llama.library import api, start

    path = tmp_path_factory.mktemp("f16") / "f16.gguf"
    logs.route()
    start()
    parameters = api.llama_model_quantize_default_params()
    parameters.ftype, parameters.allow_requantize = api.LLAMA_FTYPE_MOSTLY_F16, True
    assert api.llama_model_quantize(str(model_path).encode(), str(path).encode(), parameters) == 0
    return path


def names(client: ollama.Client) -> list[str]:
    return sorted(str(model.model) for model in client.list().models)


def digest_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_model_of_a_file_with_everything(client: ollama.Client, model_path: Path, store: Path) -> None:
    digest = client.create_blob(model_path)
    assert digest == digest_of(model_path)
    steps = client.create(
        "mine",
        files={"weights.gguf": digest},
        system="You are a pirate.",
        license=["MIT", "Apache"],
        parameters={"temperature": 0, "num_predict": 6, "stop": ["<eot>"]},
        messages=[{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}],
        stream=True,
    )
    told = [str(step.status) for step in steps]
    assert told[0] == "parsing GGUF"
    assert told[-2:] == ["writing manifest", "success"]
    assert [text.split(" sha256:")[0] for text in told[1:-2]] == ["using existing layer"] + ["creating new layer"] * 5
    shown = client.show("mine")
    assert shown.license == "MIT\nApache"
    assert shown.modelfile is not None
    assert "SYSTEM You are a pirate." in shown.modelfile
    assert client.chat("mine", messages=QUESTION).eval_count == 6
    assert {path.name.split("-")[0] for path in (store / "blobs").iterdir()} == {"sha256"}


def test_a_model_of_another_one(client: ollama.Client, own_server: Server) -> None:
    client.create("parent", from_="smollm2:135m", system="You are a pirate.", parameters={"num_predict": 5, "top_k": 3})
    client.create("child", from_="parent", parameters={"num_predict": 4}, stream=False)
    assert client.chat("child", messages=QUESTION, options={"temperature": 0}).eval_count == 4
    same = client.chat("parent", messages=QUESTION, options={"temperature": 0, "num_predict": 4})
    assert same.message.content == client.chat("child", messages=QUESTION, options={"temperature": 0}).message.content
    parameters = own_server.ask("/api/show", model="child")["parameters"].split("\n")
    assert sorted(line.split() for line in parameters) == [["num_predict", "4"], ["top_k", "3"]]


def test_names_in_another_case_are_the_same_model(client: ollama.Client, store: Path) -> None:
    client.create("twin", from_="smollm2:135m", system="One.")
    client.create("TWIN:Latest", from_="smollm2:135m", system="Two.")
    assert [
        path.name for path in (store / "manifests/registry.ollama.ai/library").iterdir() if path.name.lower() == "twin"
    ] == ["twin"]
    assert "Two." in str(client.show("twin").modelfile)


def test_copy_and_delete(client: ollama.Client, store: Path) -> None:
    client.create("original", from_="smollm2:135m", system="Only the original says this.")
    client.copy("original", "me/second:v1")
    assert {"original:latest", "me/second:v1"} <= set(names(client))
    blob = store / "blobs" / digest_of_text("Only the original says this.")
    client.delete("original")
    assert blob.exists()
    assert client.chat("me/second:v1", messages=QUESTION, options=OPTIONS).done
    client.delete("me/second:v1")
    assert not blob.exists()
    assert not (store / "manifests/registry.ollama.ai/me").exists()
    with pytest.raises(ollama.ResponseError, match="model 'original' not found") as error:
        client.delete("original")
    assert error.value.status_code == 404


def digest_of_text(text: str) -> str:
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize(("asked", "found"), [("q8_0", "Q8_0"), ("Q4_K", "Q4_K_M"), ("q4_k_s", "Q4_K_S")])
def test_quantized_weights(client: ollama.Client, f16_path: Path, asked: str, found: str) -> None:
    digest = client.create_blob(f16_path)
    steps = list(client.create("small", files={"f16.gguf": digest}, quantize=asked, stream=True))
    quantizing = [step for step in steps if step.status == f"quantizing F16 model to {found}"]
    assert quantizing
    assert all(step.total and (step.completed or 0) <= step.total for step in quantizing)
    assert quantizing[-1].completed == quantizing[-1].total
    details = client.show("small").details
    assert details is not None
    assert (details.quantization_level, details.family) == (found, "llama")
    answer = client.generate("small", "The capital of France is", raw=True, options=OPTIONS)
    assert str(answer.response).startswith(" Paris")


def test_only_unquantized_weights_are_quantized(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="only supported for F16, BF16 and F32") as error:
        client.create("small", from_="smollm2:135m", quantize="q8_0")
    assert error.value.status_code == 400


def test_an_adapter_is_applied(client: ollama.Client, model_path: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter.gguf", model_path, parts=("attn_q",))
    digest = client.create_blob(adapter)
    client.create("changed", from_="smollm2:135m", adapters={"adapter.gguf": digest})
    client.create("again", from_="changed", system="You are a pirate.")
    shown = client.show("again")
    assert f"ADAPTER {digest.replace(':', '-')}"[8:] in str(shown.modelfile)
    plain, changed, again = (
        client.generate(name, "The capital of France is", raw=True, options=OPTIONS).response
        for name in ("smollm2:135m", "changed", "again")
    )
    assert plain != changed == again
    with pytest.raises(ollama.ResponseError, match="no LoRA adapter"):
        client.create("wrong", from_="smollm2:135m", adapters={"a.gguf": client.create_blob(model_path)})


def test_a_split_model_becomes_one(client: ollama.Client, model_path: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.gguf"
    whole.symlink_to(model_path)
    parts = split_gguf(whole, 3)
    client.create("joined", files={part.name: client.create_blob(part) for part in parts})
    one, other = (
        client.generate(name, "The capital of France is", raw=True, options=OPTIONS).response
        for name in ("smollm2:135m", "joined")
    )
    assert one == other
    with pytest.raises(ollama.ResponseError, match=r"parts of a split model are missing: .*-00002-of-00003\.gguf"):
        client.create("part", files={part.name: client.create_blob(part) for part in (parts[0], parts[2])})


def test_parts_of_a_split_model_are_put_in_order_by_their_headers(client: ollama.Client, tmp_path: Path) -> None:
    write_speller(tmp_path / "whole.gguf")
    parts = split_gguf(tmp_path / "whole.gguf", 3)
    digests = [client.create_blob(part) for part in parts]

    def details(files: dict[str, str]) -> str:
        client.create("joined", files=files)
        return str(client.show("joined").details)

    expected = details({part.name: digest for part, digest in zip(parts, digests, strict=True)})
    assert details({part.name: digest for part, digest in zip(parts, reversed(digests), strict=True)}) == expected
    assert details({f"{name}.gguf": digest for name, digest in zip("abc", reversed(digests), strict=True)}) == expected
    for wrong, text in ((digests[:2], "the parts: 1, 2"), ([digests[0]] * 3, "the parts: 1 ")):
        with pytest.raises(ollama.ResponseError, match=f"of a model in 3 parts, these are {text}") as caught:
            client.create("wrong", files={f"{name}.gguf": digest for name, digest in zip("abc", wrong, strict=False)})
        assert caught.value.status_code == 400


def test_the_tree_of_files(client: ollama.Client, tmp_path: Path, model_path: Path) -> None:
    folder = tmp_path / "models"
    with running(tmp_path / "log", {"OLLAMA_MODELS": str(folder)}) as server, ollama.Client(host=server.url) as own:
        own.create(
            "me/tiny:v1", files={"a.gguf": own.create_blob(model_path)}, system="Hello.", parameters={"num_ctx": 512}
        )
    manifest = json.loads((folder / "manifests/registry.ollama.ai/me/tiny/v1").read_text())
    config = json.loads((folder / "blobs" / manifest["config"]["digest"].replace(":", "-")).read_text())
    blobs = {path.name: path for path in (folder / "blobs").iterdir()}
    layers = {layer["mediaType"].rpartition(".")[2]: layer for layer in manifest["layers"]}
    assert list(manifest) == ["schemaVersion", "mediaType", "config", "layers"]
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert set(layers) == {"model", "system", "params"}
    for layer in (*manifest["layers"], manifest["config"]):
        path = blobs.pop(layer["digest"].replace(":", "-"))
        assert layer["size"] == path.stat().st_size
        assert layer["digest"] == digest_of(path)
    assert not blobs
    assert config == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "134.52M",
        "file_type": "Q4_1",
        "context_length": 8192,
        "embedding_length": 576,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in manifest["layers"]]},
    }
    assert sorted(path.relative_to(folder).parts[0] for path in folder.iterdir()) == ["blobs", "manifests"]
