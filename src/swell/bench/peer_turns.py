"""Child process: the same turns for llama.cpp's own server, with its default settings. See `peer`."""

import importlib
import json
import os
import time

import httpx

from swell.bench.child import answer
from swell.bench.dialogue import GENERATED_TOKENS, Dialogue, window_of
from swell.bench.results import TurnsRequest, TurnsResult


def measure(request: TurnsRequest) -> TurnsResult:
    """Raises ImportError where the wheel isn't installed, httpx.HTTPError when the server refuses something."""
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = request.model
    parameters.n_ctx = window_of(request.prompt_tokens, request.turns)
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = request.threads
    server = xllamacpp.Server(parameters)
    dialogue, first_s = Dialogue(request.prompt_tokens), list[float]()
    limits = httpx.Limits(max_keepalive_connections=0)  # the server ends connections at any moment between two requests
    with httpx.Client(base_url=server.listening_address, timeout=None, trust_env=False, limits=limits) as client:
        for _ in range(request.turns):
            duration_s, generated = _turn(client, dialogue.prompt)
            first_s.append(duration_s)
            dialogue.go_on(generated)
    return TurnsResult(first_token_s=first_s)


def _turn(client: httpx.Client, prompt: list[int]) -> tuple[float, list[int]]:
    """Seconds to the first token, and all tokens."""
    first_s, generated = 0.0, list[int]()
    body = {
        "prompt": prompt,
        "n_predict": GENERATED_TOKENS,
        "temperature": 0,
        "cache_prompt": True,
        "stream": True,
        "return_tokens": True,
        "ignore_eos": True,
    }
    start = time.perf_counter()
    with client.stream("POST", "/completion", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("data: "):
                first_s = first_s or time.perf_counter() - start
                generated += json.loads(line.removeprefix("data: ")).get("tokens", [])
    return first_s, generated


if __name__ == "__main__":
    answer(TurnsRequest, measure)
    os._exit(0)  # the server's own threads have no end that could be waited for
