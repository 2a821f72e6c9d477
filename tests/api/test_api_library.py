"""Creating, copying and deleting models, and uploading blobs: checks, texts and statuses."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.scripted import FileModels, ScriptedScheduler, Server

from swell.models.catalog import Catalog
from swell.models.store import StoreModels
from swell.settings import Settings
from swell.store.store import Store

FILES = ["FROM", "DRAFT", "FROM"]
NOWHERE = f"sha256:{'0' * 64}"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def server(store: Path, tiny_gguf: Path) -> Server:
    catalog = Catalog([StoreModels(Store(store)), FileModels({"bundled:latest": tiny_gguf})])
    return Server(catalog, ScriptedScheduler(), settings=Settings(store_dir=store))


def upload(server: Server, content: bytes) -> str:
    digest = sha256(content)
    assert server.request("POST", f"/api/blobs/{digest}", content=content).status_code in (200, 201)
    return digest


@pytest.fixture
def weights(server: Server, tiny_gguf: Path) -> str:
    return upload(server, tiny_gguf.read_bytes())


def create(server: Server, **body: Any) -> list[dict[str, Any]]:
    return server.lines("/api/create", **body)


def manifest(store: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((store / "manifests/registry.ollama.ai" / name).read_text())
    return found


def blobs(store: Path) -> list[str]:
    return [path.name for path in (store / "blobs").iterdir()]


def layer(store: Path, name: str, kind: str) -> bytes:
    (found,) = (one for one in manifest(store, name)["layers"] if one["mediaType"].endswith(kind))
    path: Path = store / "blobs" / found["digest"].replace(":", "-")
    return path.read_bytes()


# --- blobs ---------------------------------------------------------------------------------------------------------


def test_a_blob_is_uploaded_once(server: Server, store: Path) -> None:
    digest = sha256(b"content")
    assert server.request("HEAD", f"/api/blobs/{digest}").status_code == 404
    assert server.request("POST", f"/api/blobs/{digest}", content=b"content").status_code == 201
    assert server.request("HEAD", f"/api/blobs/{digest}").status_code == 200
    assert server.request("HEAD", f"/api/blobs/{digest.replace(':', '-')}").status_code == 200
    assert server.request("POST", f"/api/blobs/{digest}", content=b"whatever").status_code == 200
    assert (store / "blobs" / digest.replace(":", "-")).read_bytes() == b"content"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_blobs_of_any_size(server: Server, store: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    digest = upload(server, content[:size])
    assert (store / "blobs" / digest.replace(":", "-")).stat().st_size == size


def test_a_blob_that_is_another_one_leaves_nothing(server: Server, store: Path) -> None:
    response = server.request("POST", f"/api/blobs/{NOWHERE}", content=b"content")
    assert response.status_code == 400
    assert response.json() == {"error": f'digest mismatch, expected "{NOWHERE}", got "{sha256(b"content")}"'}
    assert blobs(store) == []


@pytest.mark.parametrize(
    "digest", ["sha256:1", "md5:" + "0" * 64, "sha256:" + "g" * 64, "..%2f..%2fetc", "sha256:" + "0" * 65, "x"]
)
@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_what_is_no_digest(server: Server, store: Path, method: str, digest: str) -> None:
    response = server.request(method, f"/api/blobs/{digest}")
    assert response.status_code in (400, 404)
    assert not store.exists()


def test_a_client_that_leaves_leaves_nothing(server: Server, store: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise ConnectionError

    assert server.request("POST", f"/api/blobs/{NOWHERE}", content=_async(pieces())).status_code == 500
    assert blobs(store) == []


async def _async(pieces: Iterator[bytes]) -> Any:
    for piece in pieces:
        yield piece


# --- create --------------------------------------------------------------------------------------------------------


def test_every_step_is_told(server: Server, weights: str) -> None:
    system = sha256(b"Hi.")
    assert create(server, model="m", files={"a.gguf": weights}, system="Hi.") == [
        {"status": "parsing GGUF"},
        {"status": f"using existing layer {weights}"},
        {"status": f"creating new layer {system}"},
        {"status": "writing manifest"},
        {"status": "success"},
    ]
    again = create(server, model="n", files={"a.gguf": weights}, system="Hi.")
    assert again[2] == {"status": f"using existing layer {system}"}


def test_without_a_stream_the_last_step_is_told(server: Server, weights: str) -> None:
    response = server.post("/api/create", model="m", files={"a.gguf": weights}, stream=False)
    assert response.json() == {"status": "success"}
    assert response.headers["content-type"] == "application/json"


def test_what_a_model_says_is_added_to_its_base(server: Server, weights: str, store: Path) -> None:
    create(
        server,
        model="base",
        files={"a.gguf": weights},
        system="One.",
        template="{{ .Prompt }}",
        license="MIT",
        parameters={"stop": ["a"], "top_k": 1},
        messages=[{"role": "user", "content": "Hi"}],
        renderer="r",
        requires="0.14.0",
    )
    create(
        server,
        model="child",
        **{"from": "base"},
        system="Two.",
        license=["X", "Y"],
        parameters={"top_k": 2},
        parser="p",
    )
    kinds = [one["mediaType"].rpartition(".")[2] for one in manifest(store, "library/child/latest")["layers"]]
    assert sorted(kinds) == ["license"] * 3 + ["messages", "model", "params", "system", "template"]
    assert layer(store, "library/child/latest", "system") == b"Two."
    assert layer(store, "library/child/latest", "template") == b"{{ .Prompt }}"
    assert json.loads(layer(store, "library/child/latest", "params")) == {"stop": ["a"], "top_k": 2}
    assert json.loads(layer(store, "library/child/latest", "messages")) == [{"role": "user", "content": "Hi"}]
    (model,) = (one for one in manifest(store, "library/child/latest")["layers"] if one["mediaType"].endswith("model"))
    assert (model["digest"], model["from"]) == (weights, "base:latest")
    config = store / "blobs" / manifest(store, "library/child/latest")["config"]["digest"].replace(":", "-")
    said = json.loads(config.read_bytes())
    assert (said["renderer"], said["parser"], said["requires"]) == ("r", "p", "0.14.0")


def test_a_base_that_is_not_in_the_store_is_copied(server: Server, store: Path, tiny_gguf: Path) -> None:
    create(server, model="m", **{"from": "bundled"}, system="Hi.")
    assert layer(store, "library/m/latest", "model") == tiny_gguf.read_bytes()


def test_everything_is_shown(server: Server, weights: str, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "projector.gguf", "clip")
    writer.add_uint32("clip.vision.block_count", 3)
    writer.add_array("clip.vision.image_mean", [0.5, 0.25])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    projector = upload(server, (tmp_path / "projector.gguf").read_bytes())
    files = {"a.gguf": weights, "mmproj.gguf": projector}
    more = {"renderer": "qwen3", "parser": "harmony", "requires": "0.14.0", "draft_files": {"d.gguf": weights}}
    create(server, model="m", files=files, system="Hi.", **more)
    shown = server.post("/api/show", model="m").json()
    assert shown["requires"] == "0.14.0"
    assert shown["projector_info"]["clip.vision.block_count"] == 3
    assert shown["projector_info"]["clip.vision.image_mean"] is None
    assert server.post("/api/show", model="m", verbose=True).json()["projector_info"]["clip.vision.image_mean"] == [
        0.5,
        0.25,
    ]
    lines = shown["modelfile"].splitlines()[4:]
    assert [line.split(" ")[0] for line in lines] == [*FILES, "SYSTEM", "RENDERER", "PARSER", "REQUIRES"]
    assert lines[2].endswith(projector.replace(":", "-"))


def test_old_names_of_fields(server: Server, weights: str, store: Path) -> None:
    create(server, name="m", files={"a.gguf": weights})
    assert manifest(store, "library/m/latest")
    assert server.refused("/api/create", name="m", files={"a.gguf": weights}, quantization="q5_x")[0] == 400


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "neither 'from' or 'files' was specified"),
        ({"files": {}}, "neither 'from' or 'files' was specified"),
        ({"files": {"/a.gguf": NOWHERE}}, "file path must be relative"),
        ({"files": {"../a.gguf": NOWHERE}}, "file path must be relative"),
        ({"files": {"a/../b.gguf": NOWHERE}}, "file path must be relative"),
        ({"files": {"./a.gguf": NOWHERE}}, "file path must be relative"),
        ({"files": {"a.gguf": ""}}, "invalid digest format"),
        ({"files": {"a.gguf": "sha256:../../etc"}}, "invalid digest format"),
        (
            {"files": {"a.gguf": NOWHERE}, "adapters": {"a": NOWHERE, "b": NOWHERE}},
            "only one adapter is currently supported",
        ),
        (
            {"files": {"a.gguf": NOWHERE}, "quantize": "q5_1"},
            "unsupported quantization type Q5_1 - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0",
        ),
        ({"files": {"a.gguf": NOWHERE}, "parameters": {"top_k": "x"}}, 'option "top_k" must be of type integer'),
    ],
)
def test_what_cannot_be_made(server: Server, body: dict[str, Any], text: str) -> None:
    assert server.refused("/api/create", model="m", **body) == (400, text)
    assert server.refused("/api/create", model="m", **body, stream=False) == (400, text)


def test_a_template_that_cannot_be_read(server: Server, weights: str) -> None:
    status, text = server.refused("/api/create", model="m", files={"a.gguf": weights}, template="{{ if .System }}")
    assert status == 400
    assert text.startswith("template error: ")


def test_files_that_are_no_models(server: Server, tmp_path: Path, tiny_gguf: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "image.gguf", "sd1")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    for name, content, text in [
        ("a.gguf", b"no", "supplied file was not in GGUF format"),
        ("a.weights", b"no", "unknown type"),
        ("a.gguf", tiny_gguf.read_bytes()[:100], "truncated or damaged"),
        ("a.gguf", (tmp_path / "image.gguf").read_bytes(), "no language model"),
    ]:
        files = {name: upload(server, content)}
        response = server.post("/api/create", model="m", files=files, stream=False)
        assert response.status_code == 400
        assert text in response.json()["error"]
    refused = server.refused("/api/create", model="m", files={"model.safetensors": NOWHERE})
    assert refused[0] == 400
    assert "convert_hf_to_gguf.py" in refused[1]


def test_blobs_that_are_not_there(server: Server) -> None:
    status, text = server.refused("/api/create", model="m", files={"a.gguf": NOWHERE}, stream=False)
    assert status == 400
    assert "upload it" in text


def test_an_error_after_the_first_line_is_the_last_one(server: Server) -> None:
    *_, last = create(server, model="m", files={"a.gguf": NOWHERE})
    assert list(last) == ["error"]


# --- copy and delete -----------------------------------------------------------------------------------------------


def test_copies(server: Server, weights: str, store: Path) -> None:
    create(server, model="one", files={"a.gguf": weights})
    response = server.post("/api/copy", source="ONE", destination="hf.co/me/Two:v1")
    assert (response.status_code, response.content) == (200, b"")
    assert (store / "manifests/hf.co/me/Two/v1").exists()
    assert server.post("/api/copy", source="bundled", destination="three").status_code == 200
    assert server.refused("/api/copy", source="none", destination="x") == (404, 'model "none" not found')
    assert server.refused("/api/copy", source="a b", destination="x") == (400, 'source "a b" is invalid')
    assert server.refused("/api/copy", source="one", destination="/") == (400, 'destination "/" is invalid')


def test_deletes(server: Server, weights: str, store: Path) -> None:
    create(server, model="one", files={"a.gguf": weights})
    response = server.request("DELETE", "/api/delete", json={"name": "one"})
    assert (response.status_code, response.content) == (200, b"")
    assert blobs(store) == []

    def refused(**body: Any) -> tuple[int, str]:
        response = server.request("DELETE", "/api/delete", json=body)
        return response.status_code, response.json()["error"]

    assert refused(model="one") == (404, "model 'one' not found")
    assert refused(model="a b") == (400, 'name "a b" is invalid')
    assert refused() == (400, "model is required")
    status, text = refused(model="bundled")
    assert status == 400
    assert "not in the store" in text
    assert server.request("POST", "/api/delete", json={"model": "one"}).status_code == 405


def outside(store: Path) -> set[str]:
    return {str(path) for path in store.parent.rglob("*") if path != store and store not in path.parents}


STRANGE = (
    st.text(max_size=30)
    | st.from_regex(r"[./\\\w:@%-]{1,30}", fullmatch=True)
    | st.sampled_from(
        [
            "..",
            "../..",
            "/etc/passwd",
            "a/../../b",
            "a/b/c/d",
            "a:b/c",
            "a\0b",
            ".hidden",
            "-x",
            "a:..",
            "a" * 81,
            "http://..",
            "",
        ]
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=STRANGE, endpoint=st.sampled_from(["create", "copy-to", "copy-from", "delete", "show", "pull", "push"]))
def test_no_name_leads_out_of_the_store(server: Server, weights: str, store: Path, name: str, endpoint: str) -> None:
    create(server, model="known", files={"a.gguf": weights})
    before = outside(store)
    match endpoint:
        case "create":
            response = server.post("/api/create", model=name, **{"from": "known"}, stream=False)
        case "copy-to":
            response = server.post("/api/copy", source="known", destination=name)
        case "copy-from":
            response = server.post("/api/copy", source=name, destination="new")
        case "delete":
            response = server.request("DELETE", "/api/delete", json={"model": name})
        case _:
            response = server.post(f"/api/{endpoint}", model=name, stream=False)
    assert response.status_code in (200, 400, 404, 500)
    assert outside(store) == before
    for path in (store / "manifests").rglob("*"):
        assert len(path.relative_to(store / "manifests").parts) <= 4
