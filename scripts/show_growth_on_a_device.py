"""Show what a small device holds of a model: as a window of fixed size, and as one that grows.

A worker on loopback, which really refuses what is beyond its limit, is the device. The bundled model counts in one
answer to the end of the window. Ends with an error unless it counts without a slip, with all layers on the device at
the beginning and fewer at the end, where the fixed window leaves layers behind from the beginning.

python scripts/show_growth_on_a_device.py
"""

import contextlib
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx

from swell import Server, Settings

MODEL = "smollm2:135m"
DEVICE_MEMORY = "126MB"  # weights are 97 MB, a whole window 188 MB
WINDOW_TOKENS = 1024
FIRST, NEXT = 200, 320  # from here to there, and the model goes on for 700 tokens and more
PROMPT = "".join(f"{number} " for number in range(FIRST, NEXT))  # 480 tokens
ANSWER_TOKENS = WINDOW_TOKENS - 480
LAYERS = 31  # with the output


def main() -> None:
    logging.disable()
    with lending() as worker:
        fixed = {"OLLAMA_KV_CACHE_DYNAMIC": "0", "OLLAMA_CONTEXT_LENGTH": str(WINDOW_TOKENS)}
        with serving(worker, fixed) as http:
            http.post("/api/generate", json={"model": MODEL})  # loads it
            static = look(http)
        growing = {"OLLAMA_KV_CACHE_INIT": "512", "OLLAMA_KV_CACHE_GROW": "256"}
        with serving(worker, growing) as http:
            moments = list(watch(http))
    print(f"a device of {DEVICE_MEMORY}, a window of {WINDOW_TOKENS} tokens\n")
    print("              layers on it   granted   tokens   on it, MB")
    for name, found in [("fixed window", static), *(("growing", moment) for moment in moments)]:
        print(f"{name:12}  {found[0]:6} of {LAYERS}   {found[1]:7}  {found[2]:7}  {found[3] / 1e6:10.1f}")
    assert static[0] < LAYERS, "the fixed window was to leave layers behind"
    assert moments[0][0] == LAYERS, "all layers were to be on the device at first"
    assert moments[-1][0] < LAYERS, "the device was to run out of memory"
    assert moments[-1][2] >= WINDOW_TOKENS - 16, "the window was to be filled"


@contextlib.contextmanager
def lending() -> Iterator[str]:
    """A worker; gives its address."""
    command = [sys.executable, "-m", "swell", "worker", "--port", "0", "--memory", DEVICE_MEMORY, "--threads", "1"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield next(found[1] for line in process.stderr if (found := re.search(r"lending .* on (\S+:\d+)", line)))
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def serving(worker: str, settings: dict[str, str]) -> Iterator[httpx.Client]:
    """A server that uses `worker`; gives a client of it."""
    environment = {"OLLAMA_HOST": "127.0.0.1:0", "OLLAMA_NUM_PARALLEL": "1", "SWELL_WORKERS": worker, **settings}
    with Server(Settings.from_environment(environment)) as server:
        yield httpx.Client(base_url=server.url, timeout=None)


def watch(http: httpx.Client) -> Iterator[tuple[int, int, int, int]]:
    """What `look` sees whenever the window or the layers have changed during an answer, and at its end."""
    options = {"temperature": 0, "num_predict": ANSWER_TOKENS, "num_ctx": WINDOW_TOKENS}
    body = {"model": MODEL, "prompt": PROMPT, "raw": True, "options": options}
    text, last = "", (0, 0)
    with http.stream("POST", "/api/generate", json=body) as response:
        for number, line in enumerate(response.iter_lines()):
            end = json.loads(line)
            text += end["response"]
            if number % 8 == 0 and (seen := look(http))[:2] != last:
                yield seen
                last = seen[:2]
    yield look(http)
    print(f"resumed by {end.get('resumed')}; the answer: {text[:20]}… {text[-20:]}\n")
    assert end["eval_count"] == ANSWER_TOKENS, end
    numbers = "".join(f"{number} " for number in range(NEXT, 2 * WINDOW_TOKENS))
    assert text == numbers[: len(text)], text


def look(http: httpx.Client) -> tuple[int, int, int, int]:
    """Layers on the device, tokens granted, tokens stored, bytes on the device."""
    (model,) = http.get("/api/ps").json()["models"]
    found: list[dict[str, Any]] = model.get("devices") or [{"layers": 0, "used": 0}]
    return found[0]["layers"], model["context_allocated"], model["context_used"], found[0]["used"]


if __name__ == "__main__":
    main()
