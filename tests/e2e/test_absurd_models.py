"""Files that say nonsense: a load fails in words or succeeds, soon, and takes little memory."""

import contextlib
import json
import os
import re
import shutil
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.server import Server, running
from tests.fuzz.document import parse
from tests.tiny import ARCHITECTURES
from tests.tiny.attention import write_llama
from tests.tiny.layers import HEAD

RUNNER_MAX_BYTES = 300_000_000
"""More than a tiny model takes, and a million cells of bookkeeping."""


def _with(path: Path, **numbers: int) -> str:
    """A tiny model whose file says other numbers than it was written with."""
    write_llama(path)
    content = bytearray(path.read_bytes())
    for name, number in numbers.items():
        key = f"llama.{name.replace('__', '.')}".encode()
        start = content.index(struct.pack("<Q", len(key)) + key) + 8 + len(key) + 4
        content[start : start + 4] = struct.pack("<I", number)
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("tokens", [2**24, 2**31 - 1, 2**32 - 1])
def test_a_model_trained_for_a_window_beyond_reason(server: Server, tmp_path: Path, tokens: int) -> None:
    model = _with(tmp_path / "long.gguf", context_length=tokens)
    answer = server.generate("x" * 300, model=model, predict=20)
    assert (answer["prompt_eval_count"], answer["eval_count"]) == (300, 20)
    (row,) = (row for row in server.http.get("/api/ps").json()["models"] if row["name"] == model)
    assert row["context_length"] == 1 << 20
    assert row["ram_used"] < RUNNER_MAX_BYTES
    server.ask("/api/generate", model=model, keep_alive=0)


ABSURD = (
    {"block_count": 512},
    {"embedding_length": 2**31},
    {"feed_forward_length": 2**32 - 1},
    {"attention__head_count": 2**31},
    {"attention__head_count_kv": 2**31},
    {"attention__key_length": 2**31},
    {"attention__value_length": 2**31},
)


def test_a_load_that_can_only_fail_fails_cheaply(tmp_path: Path, log: Path) -> None:
    with running(log, {"SWELL_RESUME_ATTEMPTS": "0"}) as server, _watched(server) as peaks:
        for index, numbers in enumerate(ABSURD):
            model = _with(tmp_path / f"{index}.gguf", **numbers)
            response = server.http.post("/api/generate", json={"model": model, "prompt": "x", "stream": False})
            assert response.status_code == 500, numbers
            assert response.json()["error"]
    assert len(peaks) >= len(ABSURD)
    assert max(peaks.values()) < RUNNER_MAX_BYTES


def test_a_model_that_llama_cannot_compute_with_costs_a_few_runners(tmp_path: Path, log: Path) -> None:
    """It loads, and then ends each runner that is given a text. Another model answers meanwhile."""
    path = tmp_path / "odd.gguf"
    ARCHITECTURES["lfm2"].write(path)
    document = parse(path.read_bytes())
    document.put(b"lfm2.rope.dimension_count", 4, struct.pack("<I", 2 * HEAD))
    path.write_bytes(document.encode())
    model = str(path)
    with running(log) as server:
        for number in range(5):
            body = {"model": model, "prompt": f"{number}", "stream": False}
            response = server.http.post("/api/generate", json=body)
            assert response.status_code == 500
            assert f"llama.cpp crashed 2 times while it loaded {model}; replace the file" in response.json()["error"]
            assert server.generate("One two three", predict=4)["eval_count"] == 4
        assert log.read_text().count(f"loading {model}") == 3


def test_a_file_that_is_truncated_under_its_runner(tmp_path: Path, log: Path, model_path: Path) -> None:
    """The runner reads what isn't there any more, and is lost; the file is served when it is whole again."""
    path = tmp_path / "model.gguf"
    shutil.copyfile(model_path, path)
    with running(log) as server:
        body = {"model": str(path), "prompt": "One two three", "options": {"num_predict": 500, "num_ctx": 512}}
        with server.http.stream("POST", "/api/generate", json=body) as response:
            lines = response.iter_lines()
            assert next(lines)
            os.truncate(path, 4096)
            last = [json.loads(line) for line in lines][-1]
        assert str(path) in last["error"]
        assert "was lost" in log.read_text()
        for _ in range(3):
            response = server.http.post("/api/generate", json={**body, "stream": False})
            assert response.status_code == 400
            assert "incomplete" in response.json()["error"]
        assert log.read_text().count(f"loading {path}") <= 5
        shutil.copyfile(model_path, path)
        assert server.generate("One two three", predict=4, model=str(path))["eval_count"] == 4


@contextlib.contextmanager
def _watched(server: Server) -> Iterator[dict[int, int]]:
    """The most that each process of the server had in memory."""
    peaks: dict[int, int] = {}
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            for child in server.children():
                with contextlib.suppress(OSError):  # it is gone
                    if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text()):
                        peaks[child.pid] = int(found[1]) * 1024

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        is_over.set()
        watcher.join()
