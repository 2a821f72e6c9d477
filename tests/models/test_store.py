"""Models in a store that Ollama has laid out."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.api.scripted import ScriptedScheduler, Server
from tests.models.laid_out import add_model

from swell.errors import ModelLoadError, ModelNotFoundError
from swell.models.bundled import BundledModels
from swell.models.catalog import Catalog
from swell.models.store import StoreModels
from swell.store.store import Store

NAME = "registry.ollama.ai/library/tiny/latest"
LAYERS: dict[str, Any] = {
    "template": "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>",
    "system": "Be brief.",
    "params": json.dumps({"stop": ["<eot>"], "temperature": 0.25, "num_ctx": 512}),
    "messages": json.dumps([{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]),
    "license": ["MIT", "Apache"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def manifest(folder: Path, tiny_gguf: Path) -> Path:
    return add_model(folder, NAME, tiny_gguf, **LAYERS)


@pytest.fixture
def server(folder: Path, manifest: Path) -> Server:
    return Server(Catalog([StoreModels(Store(folder))]), ScriptedScheduler())


def test_a_model_is_listed_by_its_manifest(folder: Path, manifest: Path, tiny_gguf: Path) -> None:
    os.utime(manifest, (5, 5))
    (model,) = Catalog([StoreModels(Store(folder))]).list()
    content = manifest.read_bytes()
    layers = json.loads(content)
    assert model.name == "tiny:latest"
    assert model.digest == hashlib.sha256(content).hexdigest()
    assert model.size_bytes == sum(layer["size"] for layer in (*layers["layers"], layers["config"]))
    assert model.modified_at.timestamp() == 5
    assert (model.family, model.context_length) == ("llama", 2048)


@pytest.mark.parametrize("name", ["tiny", "tiny:latest", "TINY", "library/tiny", "registry.ollama.ai/library/tiny"])
def test_names_are_completed_and_case_does_not_matter(folder: Path, manifest: Path, name: str) -> None:
    assert Catalog([StoreModels(Store(folder))]).find(name, allow_path=False).name == "tiny:latest"


def test_other_hosts_and_namespaces(folder: Path, tiny_gguf: Path) -> None:
    for name in ("hf.co/some/model-GGUF/Q4_K_M", "registry.ollama.ai/me/mine/v1.0"):
        add_model(folder, name, tiny_gguf)
    catalog = Catalog([StoreModels(Store(folder))])
    assert sorted(model.name for model in catalog.list()) == ["hf.co/some/model-GGUF:Q4_K_M", "me/mine:v1.0"]
    assert catalog.find("hf.co/some/model-gguf:q4_k_m", allow_path=False).path.name.startswith("sha256-")


def test_two_names_of_the_same_weights_share_them(folder: Path, manifest: Path, tiny_gguf: Path) -> None:
    add_model(folder, "registry.ollama.ai/library/other/latest", tiny_gguf, system="Be kind.")
    catalog = Catalog([StoreModels(Store(folder))])
    tiny, other = (catalog.find(name, allow_path=False) for name in ("tiny", "other"))
    assert tiny.weights.key == other.weights.key
    assert tiny.digest != other.digest


def test_models_come_and_go(folder: Path, manifest: Path, tiny_gguf: Path) -> None:
    catalog = Catalog([StoreModels(Store(folder))])
    assert len(catalog.list()) == 1
    add_model(folder, "registry.ollama.ai/library/new/latest", tiny_gguf)
    assert len(catalog.list()) == 2
    manifest.unlink()
    assert [model.name for model in catalog.list()] == ["new:latest"]
    with pytest.raises(ModelNotFoundError):
        catalog.find("tiny", allow_path=False)


def test_there_may_be_no_store(folder: Path) -> None:
    catalog = Catalog([StoreModels(Store(folder))])
    assert catalog.list() == []
    with pytest.raises(ModelNotFoundError):
        catalog.find("tiny", allow_path=False)
    assert not folder.exists()


def test_what_is_no_model_is_passed_over(folder: Path, manifest: Path) -> None:
    for strange in ("manifests/.DS_Store", "manifests/registry.ollama.ai/library/tiny/.hidden", "manifests/a/b"):
        (folder / strange).parent.mkdir(parents=True, exist_ok=True)
        (folder / strange).touch()
    (folder / "manifests/registry.ollama.ai/library/folder/latest").mkdir(parents=True)
    assert [model.name for model in Catalog([StoreModels(Store(folder))]).list()] == ["tiny:latest"]


def with_layers(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path, Path], None]:
    def damage(_folder: Path, manifest: Path) -> None:
        content = json.loads(manifest.read_text())
        change(content["layers"])
        manifest.write_text(json.dumps(content))

    return damage


def with_blob(kind: str, content: str) -> Callable[[Path, Path], None]:
    def damage(folder: Path, manifest: Path) -> None:
        (layer,) = (one for one in json.loads(manifest.read_text())["layers"] if one["mediaType"].endswith(kind))
        (folder / "blobs" / layer["digest"].replace(":", "-")).write_text(content)

    return damage


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "empty": lambda _folder, manifest: manifest.write_bytes(b""),
    "cut": lambda _folder, manifest: manifest.write_bytes(manifest.read_bytes()[:-40]),
    "no layers": lambda _folder, manifest: manifest.write_text("{}"),
    "huge": lambda _folder, manifest: manifest.write_text(" " * (2 << 20)),
    "blobs gone": lambda folder, _manifest: shutil.rmtree(folder / "blobs"),
    "no weights": with_layers(lambda layers: layers.pop(0)),
    "a path for a digest": with_layers(lambda layers: layers[0].update(digest="sha256:../../../etc/passwd")),
    "an adapter that is none": with_layers(
        lambda layers: layers.append({**layers[0], "mediaType": f"{layers[0]['mediaType'][:-5]}adapter"})
    ),
    "parameters that are no JSON": with_blob("params", "{"),
    "parameters of a wrong type": with_blob("params", '{"temperature": "hot"}'),
    "messages that are none": with_blob("messages", '{"role": "user"}'),
    "weights that are none": with_blob("model", "GGUF"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_model_is_left_out_and_says_why(
    folder: Path, manifest: Path, tiny_gguf: Path, damage: Callable[[Path, Path], object]
) -> None:
    damage(folder, manifest)
    catalog = Catalog([StoreModels(Store(folder))])
    assert catalog.list() == []
    with pytest.raises(ModelLoadError):
        catalog.find("tiny", allow_path=False)


def test_a_store_of_another_user_harms_no_other_model(
    folder: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_any, is_file = Path.open, os.path.isfile

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.is_relative_to(folder):
            raise PermissionError(13, "Permission denied", str(path))
        return open_any(path, *arguments, **options)

    catalog = Catalog([StoreModels(Store(folder)), BundledModels()])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert [model.name for model in catalog.list()] == ["smollm2:135m"]
        with pytest.raises(ModelLoadError, match="Permission denied"):
            catalog.find("tiny", allow_path=False)
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "isfile", lambda path: not Path(path).is_relative_to(folder) and is_file(path))
        assert catalog.find("smollm2:135m", allow_path=False).name == "smollm2:135m"
        with pytest.raises(ModelNotFoundError):
            catalog.find("tiny", allow_path=False)


# --- what its layers say ---------------------------------------------------------------------------------------


def test_show_has_all_of_it(server: Server, manifest: Path) -> None:
    shown = server.post("/api/show", model="tiny").json()
    assert list(shown)[:6] == ["license", "modelfile", "parameters", "template", "system", "messages"]
    assert shown["license"] == "MIT\nApache"
    assert shown["system"] == "Be brief."
    assert shown["messages"] == json.loads(LAYERS["messages"])
    assert sorted(shown["parameters"].split("\n")) == [
        f"{'num_ctx':<30} 512",
        f'{"stop":<30} "<eot>"',
        f"{'temperature':<30} 0.25",
    ]
    for line in (
        f"TEMPLATE {LAYERS['template']}",
        "SYSTEM Be brief.",
        "PARAMETER stop <eot>",
        "LICENSE Apache",
        "MESSAGE assistant 4",
    ):
        assert line in shown["modelfile"].splitlines()
    changed = server.post("/api/show", model="tiny", system="Else.", options={"num_ctx": 9}).json()
    assert changed["system"] == "Else."
    assert f"{'num_ctx':<30} 9" in changed["parameters"]


def prompt(server: Server) -> str:
    """The latest one. Tokens are characters, BOS is token 1."""
    return "".join(map(chr, server.runner.prompts[-1])).removeprefix("\1")


HISTORY = "<system>Be brief.<user>2+2?<assistant>4"


def test_a_conversation_begins_with_its_system_prompt_and_messages(server: Server) -> None:
    server.post("/api/chat", model="tiny", messages=[{"role": "user", "content": "Hi"}], stream=False)
    assert prompt(server) == f"{HISTORY}<user>Hi<assistant>"
    server.post("/v1/chat/completions", model="tiny", messages=[{"role": "user", "content": "Hi"}])
    assert prompt(server) == f"{HISTORY}<user>Hi<assistant>"


def test_a_system_prompt_of_the_conversation_replaces_the_models(server: Server) -> None:
    messages = [{"role": "system", "content": "Be long."}, {"role": "user", "content": "Hi"}]
    server.post("/api/chat", model="tiny", messages=messages, stream=False)
    assert "Be brief." not in prompt(server)
    assert prompt(server).count("Be long.") == 1


def test_generate_begins_with_them_too(server: Server) -> None:
    server.post("/api/generate", model="tiny", prompt="Hi", stream=False)
    assert prompt(server) == f"{HISTORY}<user>Hi<assistant>"
    server.post("/api/generate", model="tiny", prompt="Hi", system="Be long.", stream=False)
    assert prompt(server) == "<system>Be long.<user>2+2?<assistant>4<user>Hi<assistant>"
    server.post("/api/generate", model="tiny", prompt="Hi", raw=True, stream=False)
    assert prompt(server) == "Hi"


def test_parameters_hold_unless_the_request_says_otherwise(server: Server) -> None:
    server.post("/api/generate", model="tiny", prompt="Hi", stream=False)
    server.post("/api/generate", model="tiny", prompt="Hi", options={"temperature": 1, "num_ctx": 99}, stream=False)
    assert [sampling.temperature for sampling in server.runner.samplings] == [0.25, 1.0]
    assert server.runner.windows == [512, 99]
