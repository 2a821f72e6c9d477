"""`swell doctor` as a command: what it prints, and its exit status."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Answers
from tests.control_group import new_group

from swell.version import __version__

Swell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _own_settings(environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing of the settings of who runs the tests."""
    for name in [name for name in environment if name.startswith(("SWELL_", "OLLAMA_")) and name != "OLLAMA_HOST"]:
        del environment[name]
    environment["OLLAMA_MODELS"] = str(tmp_path / "models")


@pytest.fixture(autouse=True)
def _server(answers: Answers) -> None:
    answers["GET /api/version"] = (200, json.dumps({"version": "0.33.0", "swell": __version__}))


def subjects(found: dict[str, Any]) -> set[tuple[str, str]]:
    """What was said, but for what the machine that runs the tests is like."""
    machine = {"amx", "devices", "disk", "overcommit", "processors"}
    said = {(finding["severity"], finding["subject"]) for finding in found["findings"]}
    return {(severity, subject) for severity, subject in said if subject not in machine}


def test_this_machine_and_the_real_model(swell: Swell, address: str) -> None:
    done = swell("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Everything works.\n")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["Reserved", "store", "works"] in lines
    assert ["MODEL", "WEIGHTS", "STORE", "WINDOW", "F16", "Q8_0", "Q4_0"] in lines
    assert ["smollm2:135m", "96", "MB", "reserved", "8192", "8192", "8192", "8192"] in lines
    assert f"http://{address}    swell answers (version {__version__})" in done.stdout


def test_json_is_one_object_for_scripts(swell: Swell, environment: dict[str, str]) -> None:
    environment["SWELL_KV_BUDGET"] = "100MB"
    done = swell("doctor", "smollm2:135m", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["works"], subjects(found)) == (0, True, {("remark", "window")})
    (model,) = found["facts"]["models"]
    assert (model["name"], model["store"], model["cell_bytes"]) == ("smollm2:135m", "reserved", 23_040)
    windows = {fit["cache_type"]: fit["window_tokens"] for fit in model["fits"]}
    assert windows == {"f16": 100_000_000 // 23_040, "q8_0": 100_000_000 // 12_240, "q4_0": 8192}


def test_what_cannot_work_is_the_exit_status(swell: Swell, environment: dict[str, str], tiny_gguf: Path) -> None:
    tiny_gguf.write_bytes(tiny_gguf.read_bytes()[:100])
    environment |= {"OLLAMA_MAX_QUEUE": "many", "OLLAMA_NUM_PARALEL": "2"}
    done = swell("doctor", "--json", str(tiny_gguf), "nowhere")
    found = json.loads(done.stdout)
    assert (done.returncode, found["works"], done.stderr) == (1, False, "")
    assert subjects(found) == {("problem", "model"), ("problem", "setting"), ("remark", "setting")}
    assert set(found["facts"]["missing_models"]) == {str(tiny_gguf), "nowhere"}
    assert found["facts"]["unknown_settings"] == [{"name": "OLLAMA_NUM_PARALEL", "nearest": "OLLAMA_NUM_PARALLEL"}]
    assert swell("doctor", "nowhere").stdout.endswith("Something can't work.\n")


@pytest.mark.parametrize(
    ("status", "text", "severity", "state"),
    [
        (200, '{"version":"0.33.0"}', "problem", "another program answers"),
        (404, "not here", "problem", "another program answers"),
        (200, "<html>", "problem", "another program answers"),
        (200, '{"version":"0.33.0","swell":"0.0.1"}', "remark", "swell answers"),
    ],
)
def test_who_is_at_the_servers_address(
    swell: Swell, answers: Answers, status: int, text: str, severity: str, state: str
) -> None:
    answers["GET /api/version"] = (status, text)
    done = swell("doctor", "--json")
    found = json.loads(done.stdout)
    assert (subjects(found), done.returncode) == ({(severity, "server")}, int(severity == "problem"))
    assert found["facts"]["server"]["state"] == state


def test_a_store_that_is_copied_is_explained(swell: Swell, environment: dict[str, str]) -> None:
    environment["SWELL_KV_STORE"] = "copied"
    (model,) = json.loads(swell("doctor", "--json").stdout)["facts"]["models"]
    assert (model["store"], model["store_reason"]) == ("copied", "it was asked for (SWELL_KV_STORE)")


def test_a_model_for_embeddings_has_no_store(swell: Swell, make_gguf: Callable[..., Path]) -> None:
    done = swell("doctor", str(make_gguf("embeds.gguf", embeds=True)), "--json")
    (model,) = json.loads(done.stdout)["facts"]["models"]
    assert (model["store"], model["cell_bytes"]) == (None, 0)


@contextmanager
def _limited(limit_bytes: int) -> Iterator[Callable[[], None]]:
    with new_group() as group:
        yield group.enter_with(limit_bytes)


@pytest.mark.destructive
def test_what_fits_a_control_group(environment: dict[str, str]) -> None:
    """Beside weights of 96 MB, 262 MB leave room for a part of the window."""
    environment["OLLAMA_HOST"] = "127.0.0.1:1"
    with _limited(250 << 20) as enter:
        command = [sys.executable, "-m", "swell", "doctor", "smollm2:135m", "--json"]
        done = subprocess.run(command, capture_output=True, env=environment, preexec_fn=enter)
    found = json.loads(done.stdout)
    (model,) = found["facts"]["models"]
    f16, q8_0, q4_0 = (fit["window_tokens"] for fit in model["fits"])
    assert f16 < q8_0 <= q4_0
    assert f16 < 8192
    free_bytes = found["facts"]["memory"]["free_bytes"]
    assert model["weights_bytes"] + model["other_bytes"] + f16 * model["cell_bytes"] <= free_bytes <= 250 << 20
    assert ("remark", "window") in subjects(found)
