"""Servers whose model is on Vulkan devices: where layers go, answers that grow and survive, and the numbers shown."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.counting import counted, expected
from tests.devices.asking import FOX, stats
from tests.devices.vulkan import ONE, TWO, given_by_driver_bytes
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import paced
from tests.tiny.attention import write_llama
from tests.tiny.encoder import write_bert
from tests.waiting import PATIENCE_S

from swell.cache import StoreKind
from swell.turns.recovery.ladder import RecoveryStep

pytestmark = pytest.mark.devices

FIRST, SECOND = "Vulkan0", "Vulkan1"
LAYERS, TINY_LAYERS = 31, 5  # with the output
WEIGHTS_BYTES = 96_576_768  # of all that can be on a device
CELL_BYTES, CELLS = 23_040, 256
SMALL = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": str(CELLS), "OLLAMA_KV_CACHE_GROW": str(CELLS)}
HOST_BUFFERS = re.compile(r"Vulkan_Host +(\w+) buffer size = +([\d.]+) MiB")
"""What llama.cpp has the driver give of the host's memory, which counts as such."""
KILLS = 10
ON_PROCESSOR = {"GGML_OP_OFFLOAD_MIN_BATCH": "100000"}
"""Prompts of layers in host memory, which the device would slow, are computed there."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that writes bytes of no meaning, fast."""
    path = tmp_path_factory.mktemp("tiny") / "llama.gguf"
    write_llama(path)
    return str(path)


def layers(row: dict[str, Any]) -> dict[str, int]:
    return {device["name"]: device["layers"] for device in row.get("devices", [])}


def lines_of(server: Server, prompt: str, **options: int) -> Iterator[dict[str, Any]]:
    """One greedy answer."""
    body = {"model": MODEL, "prompt": prompt, "raw": True, "options": {"temperature": 0, **options}}
    with server.http.stream("POST", "/api/generate", json=body) as response:
        yield from map(json.loads, response.iter_lines())


def test_options_move_layers(log: Path, tiny: str) -> None:
    wishes: tuple[tuple[dict[str, int], dict[str, int]], ...] = (
        ({}, {FIRST: TINY_LAYERS}),
        ({"num_gpu": 2}, {FIRST: 2}),
        ({"num_gpu": 3, "main_gpu": 1}, {SECOND: 3}),
        ({"num_gpu": 0}, {}),
    )
    with running(log, {**TWO, **SMALL}) as server:
        for options, there in wishes:
            answer = server.generate("1 2 3", predict=4, model=tiny, options=options)
            assert (answer["eval_count"], layers(server.loaded())) == (4, there)
    with running(log, {**TWO, **SMALL, "OLLAMA_SCHED_SPREAD": "1"}) as server:
        assert server.generate("1 2 3", predict=4, model=tiny)["eval_count"] == 4
        assert sum(layers(server.loaded()).values()) == TINY_LAYERS
        assert set(layers(server.loaded())) == {FIRST, SECOND}


@pytest.mark.parametrize("num_gpu", [LAYERS, 16, 0])
def test_the_numbers_add_up_and_stay(log: Path, num_gpu: int) -> None:
    # within a limit, what is free doesn't depend on other programs, which a newer driver counts
    with running(log, {**ONE, **SMALL, "SWELL_DEVICE_MEMORY": "1GB"}) as server:
        server.generate("1 2 3", predict=1, options={"num_gpu": num_gpu})
        rows = [server.loaded() for _ in range(5)]
        for row in rows:
            assert row["ram_used"] + row["vram_used"] == row["weights_used"] + row["kv_used"] + row["other_used"]
            assert row["size_vram"] == row["vram_used"] == sum(each["used"] for each in row.get("devices", []))
            assert row["vram_used"] + row["vram_free"] == row["vram_total"]
            assert row["size"] == row["vram_used"] + (row["ram_used"] if num_gpu < LAYERS else 0)
        assert len({(row["vram_used"], row["vram_free"], row["kv_used"]) for row in rows}) == 1
        found = stats(server)
        on_devices = {kind: sum(each[f"{kind}_bytes"] for each in found["devices"]) for kind in ("weights", "kv")}
        cached_layers = max(0, num_gpu - 1)  # the output has no cache
        assert on_devices["kv"] == CELLS * CELL_BYTES * cached_layers // (LAYERS - 1)
        if num_gpu == LAYERS:
            assert on_devices["weights"] == pytest.approx(WEIGHTS_BYTES, rel=0.01)


def test_the_numbers_are_those_of_the_driver(log: Path) -> None:
    with running(log, {**ONE, **SMALL, **ON_PROCESSOR, "OLLAMA_DEBUG": "2"}) as server:
        for num_gpu, last in itertools.product((LAYERS, 16, 0), (9, 139)):
            server.generate(counted(1, last), predict=2, options={"num_gpu": num_gpu})
            found = dict(HOST_BUFFERS.findall(log.read_text()))  # the last of each kind
            in_host_bytes = sum(float(size) * 2**20 for size in found.values()) if num_gpu else 0
            given_bytes = given_by_driver_bytes(server.runner().pid)
            assert (given_bytes > 0) is (num_gpu > 0)
            assert server.loaded()["vram_used"] == pytest.approx(given_bytes - in_host_bytes, rel=0.05)


@pytest.mark.timeout(900)
def test_an_answer_survives_ten_runners(log: Path) -> None:
    """The text need not be that of an answer without a fault, since it is computed in other batches. It must count."""
    lines: list[dict[str, Any]] = []
    killed, predict = 0, 30
    settings = {**ONE, **SMALL, **ON_PROCESSOR, "SWELL_RESUME_ATTEMPTS": str(KILLS)}
    with running(log, paced(settings)) as server:
        for line in lines_of(server, counted(1, 30), num_predict=predict, num_gpu=2):
            lines.append(line)
            if not line["done"] and killed < KILLS and len(lines) % 2 == 0:
                assert layers(server.loaded()) == {FIRST: 2}
                runner = server.runner()
                runner.kill()
                runner.wait(PATIENCE_S)
                killed += 1
    assert lines[-1]["resumed"] == [RecoveryStep.RELOAD.value] * KILLS
    assert lines[-1]["eval_count"] == predict
    text = "".join(line["response"] for line in lines)
    assert text == expected(31, len(text))


def test_with_the_cache_in_host_memory_it_is_reserved(log: Path, tiny: str) -> None:
    with running(log, {**ONE, **SMALL}) as server:
        server.generate("1 2 3", predict=1, model=tiny, options={"num_gpu": 1})  # the output, which has no cache
        found = stats(server)
        assert found["store"] == StoreKind.RESERVED.value
        assert [(each["layers"], each["kv_bytes"]) for each in found["devices"]] == [(1, 0)]


def test_embeddings(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "bert.gguf"
    write_bert(path)
    vectors = []
    for settings in ({}, ONE):
        with running(log, settings) as server:
            vectors.append(server.ask("/api/embed", model=str(path), input=[FOX, "Something else"])["embeddings"])
            assert (server.loaded()["size_vram"] > 0) is (settings is ONE)
    for vector, other in zip(*vectors, strict=True):
        assert vector == pytest.approx(other, abs=1e-2)


@pytest.mark.timeout(900)
def test_within_a_limit_an_answer_fills_the_window_by_going_on_with_fewer_layers(log: Path) -> None:
    window, limit_bytes = 448, 116_000_000  # 112.6 MB are taken with 256 cells, 117.0 would be with 448
    settings = {**ONE, **SMALL, **ON_PROCESSOR, "OLLAMA_KV_CACHE_GROW": "64", "SWELL_DEVICE_MEMORY": str(limit_bytes)}
    rows, lines = [], []
    with running(log, settings) as server:
        for line in lines_of(server, counted(200, 60), num_predict=window - 240, num_ctx=window):
            lines.append(line)
            if len(lines) % 16 == 1 or line["done"]:
                rows.append(server.loaded())
    text = "".join(line["response"] for line in lines)
    assert text == expected(260, len(text))
    assert set(lines[-1]["resumed"]) == {RecoveryStep.OTHER_PLACEMENT.value}
    assert layers(rows[0]) == {FIRST: LAYERS}
    assert sum(layers(rows[-1]).values()) < LAYERS
    assert rows[-1]["context_used"] >= window - 16
    assert all(row["vram_used"] <= limit_bytes for row in rows)
