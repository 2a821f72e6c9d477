"""Models that are files: in a folder, in parts, and both."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.server import MODEL, Server, running
from tests.tiny.speller import write_speller
from tests.tiny.split import split_gguf


def _listed(server: Server) -> dict[str, dict[str, Any]]:
    rows = {row["name"]: row for row in server.http.get("/api/tags").json()["models"]}
    assert {row["id"] for row in server.http.get("/v1/models").json()["data"]} == set(rows)
    return rows


def test_files_in_a_folder_are_models_by_name(tmp_path: Path, log: Path) -> None:
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    with running(log, {"SWELL_MODELS_DIR": str(folder)}) as server:
        assert set(_listed(server)) == {MODEL}
        write_speller(folder / "speller.gguf")
        shutil.copy(folder / "speller.gguf", folder / "deep" / "speller.gguf")
        (folder / "damaged.gguf").write_bytes(b"GGUF")

        assert set(_listed(server)) == {MODEL, "speller:latest", "deep/speller:latest"}
        texts = [server.generate("x", predict=8, model=name)["response"] for name in ("speller", "Deep/Speller:latest")]
        assert texts[0] == texts[1]
        body = {"model": "deep/speller", "messages": [{"role": "user", "content": "x"}], "max_tokens": 4}
        assert server.http.post("/v1/chat/completions", json=body).status_code == 200
        assert {row["name"] for row in server.http.get("/api/ps").json()["models"]} == {
            *("speller:latest", "deep/speller:latest")
        }

        (folder / "speller.gguf").unlink()
        assert set(_listed(server)) == {MODEL, "deep/speller:latest"}
        gone = server.http.post("/api/generate", json={"model": "speller", "prompt": "x"})
        assert (gone.status_code, gone.json()["error"]) == (404, "model 'speller' not found")
    assert log.read_text().count("damaged:latest") == 1


def test_a_split_model_is_one_to_its_last_byte(tmp_path: Path, log: Path) -> None:
    whole = tmp_path / "whole.gguf"
    write_speller(whole)
    parts = split_gguf(whole, 3)
    with running(log) as server:
        shown, of_parts = (server.ask("/api/show", model=str(path)) for path in (whole, parts[0]))
        assert of_parts["model_info"]["general.parameter_count"] == shown["model_info"]["general.parameter_count"]
        assert of_parts["details"] == shown["details"]
        assert len(of_parts["tensors"]) == len(shown["tensors"])
        texts = [server.generate("x", predict=8, model=str(path))["response"] for path in (whole, parts[0])]
        assert texts[0] == texts[1]

        refused = server.http.post("/api/generate", json={"model": str(parts[1]), "prompt": "x"})
        assert (refused.status_code, "part 2 of 3" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize("path", ["/api/tags", "/v1/models"])
def test_a_folder_that_is_gone_is_no_reason_to_fail(tmp_path: Path, log: Path, path: str) -> None:
    with running(log, {"SWELL_MODELS_DIR": str(tmp_path / "nowhere")}) as server:
        assert server.http.get(path).status_code == httpx.codes.OK
