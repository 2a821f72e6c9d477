"""`python -m benchmarks.window [FOLDER]`: a model's window over time, for the picture in docs/window.md.

The bundled model goes on with a story until it holds 3,000 tokens, has two short conversations, and then nothing to do,
all in one slot. What `/api/ps` says four times a second is written to FOLDER, benchmarks/results unless named.
"""

import datetime
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.e2e.server import Server, running

from swell.bench.machine import machine

STORY_TOKENS = 3000
INTERVAL_S = 0.25
IDLE_SHRINK_S = 10
SETTLED_S = 20
ONE_SLOT = {
    "OLLAMA_NUM_PARALLEL": "1",
    "OLLAMA_KV_CACHE_INIT": "512",
    "SWELL_KV_IDLE_SHRINK": f"{IDLE_SHRINK_S}s",
    "SWELL_REPEAT_GUARD": "0",
}
FIELDS = ("context_used", "context_allocated", "context_length", "kv_used")


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place, running(Path(place) / "log", ONE_SLOT) as server:
        server.ask("/api/generate", prompt="")
        samples: list[list[float]] = []
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(server.url, samples, ended))
        watching.start()
        _tell(server)
        for question in ("What is a tide?", "What is a wave?"):
            _chat(server, [{"role": "user", "content": question}], predict=60)
        time.sleep(IDLE_SHRINK_S + SETTLED_S)
        ended.set()
        watching.join()
    date = datetime.datetime.now(datetime.UTC)
    result = {
        "command": "python -m benchmarks.window",
        "date": date.isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": ONE_SLOT,
        "fields": ["at_s", *FIELDS],
        "samples": samples,
    }
    path = folder / f"window-{date:%Y-%m-%dT%H%MZ}.json"
    path.write_bytes(msgspec.json.encode(result).replace(b"],[", b"],\n[") + b"\n")
    sys.stdout.write(f"{path}\n")


def _tell(server: Server) -> None:
    messages = [{"role": "user", "content": "Tell me a long story about the sea."}]
    while server.loaded()["context_used"] < STORY_TOKENS:
        answer = _chat(server, messages, predict=200)
        messages += [answer, {"role": "user", "content": "Go on with the story. What happened next?"}]


def _chat(server: Server, messages: list[dict[str, Any]], *, predict: int) -> dict[str, Any]:
    options = {"num_predict": predict, "seed": 1}
    message: dict[str, Any] = server.ask("/api/chat", messages=messages, options=options)["message"]
    return message


def _watch(url: str, samples: list[list[float]], ended: threading.Event) -> None:
    start_s = time.monotonic()
    with httpx.Client(base_url=url, trust_env=False) as client:
        while not ended.wait(INTERVAL_S):
            for row in client.get("/api/ps").json()["models"]:
                if "context_used" in row:  # a model that has just been loaded hasn't told yet
                    samples.append([round(time.monotonic() - start_s, 2), *(row[name] for name in FIELDS)])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results")
