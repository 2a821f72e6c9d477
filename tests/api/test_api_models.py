"""/api/tags, /api/ps and /api/show."""

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swell.devices import DeviceKind, DeviceUse
from swell.protocol.messages import Stats, ThreadStats, Totals
from swell.scheduler.scheduler import LoadedModel
from swell.settings import Settings

DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "1K",
    "quantization_level": "Q4_1",
}


def test_tags(server: Any) -> None:
    rows = server.request("GET", "/api/tags").json()["models"]
    (row,) = (row for row in rows if row["name"] == "tiny:latest")

    assert list(row) == ["name", "model", "modified_at", "size", "digest", "details", "capabilities"]
    assert row["model"] == "tiny:latest"
    assert row["details"] == {**DETAILS, "context_length": 2048, "embedding_length": 4}
    assert row["capabilities"] == ["completion"]
    assert len(row["digest"]) == 64
    assert datetime.fromisoformat(row["modified_at"]).tzinfo is not None


def test_a_damaged_model_is_left_out(server: Any, tiny_gguf: Path) -> None:
    tiny_gguf.write_bytes(b"GGUF")

    assert [row["name"] for row in server.request("GET", "/api/tags").json()["models"]] == ["embed:latest"]
    status, text = server.refused("/api/show", model="tiny")
    assert status == 500
    assert "incomplete" in text


THREADS = ThreadStats(now=1, allowed=2, waited_ns=3)


def _stats(**changes: Any) -> Stats:
    """Numbers that are all different, and no devices."""
    values: dict[str, Any] = {}
    for number, name in enumerate(Stats.__struct_fields__):
        values[name] = number + 100
    return Stats(**{**values, "threads": THREADS, "totals": Totals(cached=7, cut=8), "devices": [], **changes})


def test_ps(server: Any, moment: datetime) -> None:
    model = server.catalog.find("tiny", allow_path=False)
    stats = _stats()
    row = LoadedModel(model=model, facts=server.runner.facts, stats=stats, expires_at=moment, num_ctx=None)
    server.scheduler.rows = [row, dataclasses.replace(row, stats=None)]

    full, bare = server.request("GET", "/api/ps").json()["models"]
    assert full["size"] == stats.resident_bytes
    assert datetime.fromisoformat(full["expires_at"]) == moment
    assert (full["size_vram"], full["context_length"], full["details"]) == (0, 1000, DETAILS)
    assert (full["context_used"], full["context_active"]) == (stats.context_used, stats.context_active)
    assert (full["context_allocated"], full["ram_used"]) == (stats.context_allocated, stats.resident_bytes)
    assert full["context_initial"] == stats.context_initial
    assert full["weights_used"] == stats.weights_resident_bytes
    assert (full["kv_used"], full["kv_granted"]) == (stats.kv_resident_bytes, stats.kv_granted_bytes)
    assert full["other_used"] == stats.other_bytes
    assert (full["threads"], full["threads_allowed"]) == (1, 2)
    assert (full["cached_tokens"], full["cut_tokens"]) == (7, 8)
    assert (full["vram_used"], full["vram_free"], full["vram_total"]) == (0, 0, 0)
    assert list(bare) == [
        *("name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length", "context_trained")
    ]
    assert bare["size"] == model.size_bytes


@pytest.mark.parametrize(
    ("num_ctx", "setting", "ceiling"),
    [
        (None, 0, 1000),
        (None, 512, 512),
        (None, 5000, 1000),
        (128, 512, 128),
        (700, 512, 700),
        (9000, 0, 1000),
        (1, 0, 4),
    ],
)
def test_ps_says_which_ceiling_is_in_force(
    server: Any, moment: datetime, num_ctx: int | None, setting: int, ceiling: int
) -> None:
    model = server.catalog.find("tiny", allow_path=False)
    server.settings = Settings(context_length=setting)
    facts = server.runner.facts
    server.scheduler.rows = [LoadedModel(model=model, facts=facts, stats=None, expires_at=moment, num_ctx=num_ctx)]

    (row,) = server.request("GET", "/api/ps").json()["models"]
    assert (row["context_length"], row["context_trained"]) == (ceiling, 2048)


def test_ps_of_a_model_on_devices(server: Any, moment: datetime) -> None:
    model = server.catalog.find("tiny", allow_path=False)
    use = DeviceUse(
        name="far:1",
        kind=DeviceKind.WORKER,
        layers=3,
        weights_bytes=50,
        kv_bytes=40,
        compute_bytes=30,
        free_bytes=20,
        total_bytes=500,
    )
    stats, facts = _stats(devices=[use]), server.runner.facts
    whole = LoadedModel(
        model=model,
        facts=msgspec.structs.replace(facts, is_on_devices=True),
        stats=stats,
        expires_at=moment,
        num_ctx=None,
    )
    server.scheduler.rows = [dataclasses.replace(whole, facts=facts), whole]

    partly, wholly = server.request("GET", "/api/ps").json()["models"]
    assert (partly["size_vram"], partly["size"]) == (120, 120 + stats.resident_bytes)
    assert (wholly["size_vram"], wholly["size"]) == (120, 120)
    for row in (partly, wholly):
        assert (row["vram_used"], row["vram_free"], row["vram_total"]) == (120, 20, 500)
        assert row["weights_used"] == stats.weights_resident_bytes + 50
        assert row["other_used"] == stats.other_bytes + 30
        assert row["devices"] == [{"name": "far:1", "layers": 3, "used": 120, "free": 20, "total": 500}]


def test_nothing_loaded(server: Any) -> None:
    assert server.request("GET", "/api/ps").json() == {"models": []}


def test_show(server: Any, tiny_gguf: Path) -> None:
    shown = server.post("/api/show", model="TINY").json()

    assert list(shown) == [
        *("modelfile", "template", "details", "model_info", "tensors", "capabilities", "modified_at"),
    ]
    assert shown["modelfile"].splitlines()[2:] == ["# FROM tiny:latest", "", f"FROM {tiny_gguf}"]
    assert "messages" in shown["template"]
    assert shown["details"] == DETAILS
    assert shown["tensors"] == [{"name": "w.weight", "type": "F32", "shape": [300, 4]}]
    info = shown["model_info"]
    assert info["general.parameter_count"] == 1200
    assert info["llama.context_length"] == 2048
    assert info["tokenizer.ggml.tokens"] is None
    assert "general.name" not in info
    assert "tokenizer.chat_template" not in info


def test_show_verbose_has_the_arrays(server: Any) -> None:
    info = server.post("/api/show", name="tiny", verbose=True).json()["model_info"]

    assert info["tokenizer.ggml.tokens"][:2] == ["token0", "token1"]
    assert info["test.numbers"] == [1, -2, 3]


def test_show_with_system_and_options(server: Any) -> None:
    options = {"temperature": 0.5, "stop": ["a b", " "], "use_mmap": True}
    shown = server.post("/api/show", model="tiny", system='Say "hi"\nto all', options=options).json()

    assert shown["system"] == 'Say "hi"\nto all'
    assert shown["parameters"].splitlines() == [
        "temperature                    0.5",
        'stop                           "a b"',
        'stop                           " "',
        "use_mmap                       true",
    ]
    tail = shown["modelfile"].partition('SYSTEM """Say "hi"\nto all"""\n')[2]
    assert tail.splitlines() == [
        "PARAMETER temperature 0.5",
        "PARAMETER stop a b",
        'PARAMETER stop " "',
        "PARAMETER use_mmap true",
    ]


def test_show_for_one_editor(server: Any) -> None:
    response = server.request(
        "POST", "/api/show", json={"model": "Tiny"}, headers={"user-agent": "GitHubCopilotChat/0.1"}
    )

    assert response.json()["model_info"]["general.basename"] == "Tiny"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "model is required"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "nope"}, 404, "model 'nope:latest' not found"),
        ({"model": "/nope.gguf"}, 404, "model '/nope.gguf' not found"),
        ({"model": "tiny", "options": {"seed": "x"}}, 500, 'option "seed" must be of type integer'),
    ],
)
def test_show_refusals(server: Any, body: dict[str, object], status: int, text: str) -> None:
    assert server.refused("/api/show", **body) == (status, text)
