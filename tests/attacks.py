"""Requests that tried to harm those of others, each of which once could: for tests, the soak and the benchmark.

An attack is a function of the server's URL and of a folder to write files to. It returns when it is over, with what was
answered; that a stream beside it goes on is for others to see.
"""

import itertools
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.saboteur.sitecustomize import POISON, SLOW_POISON
from tests.e2e.server import MODEL

Attack = Callable[[str, Path], str]

_PATIENCE_S = 300.0
_MB = 1 << 20
SILENCE_S = 5.0
"""How long the one who doesn't read stays."""


def _post(url: str, path: str, content: bytes | Iterator[bytes]) -> str:
    """The status, and the error if there is one; "refused" where the server didn't want to read all."""
    try:
        answer = httpx.post(f"{url}{path}", content=content, timeout=_PATIENCE_S, trust_env=False)
    except httpx.TransportError:
        return "refused"
    try:
        return f"{answer.status_code} {str(answer.json().get('error', ''))[:100]}"
    except ValueError:
        return str(answer.status_code)


def _generate(url: str, *, path: str = "/api/generate", predict: int = 4, **fields: Any) -> str:
    options = {"num_predict": predict, **fields.pop("options", {})}
    body = {"model": MODEL, "prompt": "Hi", "stream": False, "options": options, **fields}
    return _post(url, path, json.dumps(body).encode())


def huge_body(url: str, _folder: Path) -> str:
    """300 MB."""
    return _post(url, "/api/generate", itertools.repeat(b"a" * _MB, 300))


def long_prompt(url: str, _folder: Path) -> str:
    """As long as is allowed, and cut to the window: beside it, its last tokens are read as any prompt is."""
    return _generate(url, prompt="word " * (3 * _MB), options={"num_ctx": 512})


def special_tokens(url: str, _folder: Path) -> str:
    """Tokenising them took quadratic time."""
    return _generate(url, prompt="<|im_start|>" * (3 * _MB // 12), options={"num_ctx": 512})


def _poisoned(url: str, tokens: int) -> str:
    return _generate(url, raw=True, predict=tokens, options={"num_ctx": 4096})


def poison(url: str, _folder: Path) -> str:
    """Ends each runner, where the saboteur is there."""
    return _poisoned(url, POISON)


def slow_poison(url: str, _folder: Path) -> str:
    """Ends each runner after a token."""
    return _poisoned(url, SLOW_POISON)


def many_values(url: str, _folder: Path) -> str:
    """A grammar of 10,000 words."""
    return _generate(url, format={"enum": [f"word number {number}" for number in range(10_000)]})


def deep_schema(url: str, _folder: Path) -> str:
    """Each level of it is there twice."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(14):
        schema = {"type": "object", "properties": {"a": schema, "b": schema}, "required": ["a", "b"]}
    return _generate(url, format=schema)


def counted_schema(url: str, _folder: Path) -> str:
    """Small, and large once it is written out."""
    text = {"type": "string", "minLength": 5_000, "maxLength": 100_000}
    return _generate(url, format={"type": "array", "items": text, "minItems": 1_000, "maxItems": 100_000})


def nested_loops(url: str, _folder: Path) -> str:
    """A template of the request's own that takes minutes."""
    loops = "{{ range .Messages }}" * 12 + "x" + "{{ end }}" * 12
    messages = [{"role": "user", "content": "Hi"}] * 12
    return _generate(url, path="/api/chat", messages=messages, template=loops)


def nested_ranges(url: str, _folder: Path) -> str:
    """A template of the request's own, in Go's language, that takes minutes."""
    return _generate(url, template="{{ range 999999 }}{{ range 999999 }}{{ end }}{{ end }}")


def growing_template(url: str, _folder: Path) -> str:
    """One that would need a terabyte."""
    return _generate(url, template='{{ $x := "aa" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}{{ $x }}')


def dense_template(url: str, _folder: Path) -> str:
    """One that takes as long to read as any may."""
    return _generate(url, template="{{(1)}}" * 4_681)


def huge_text(url: str, _folder: Path) -> str:
    """A template that would write 300 MB."""
    return _generate(url, template="{{ 'a' * 300000000 }}")


def open_braces(url: str, _folder: Path) -> str:
    return _generate(url, template="{{" + " " * 1_200)


def never_reads(url: str, _folder: Path) -> str:
    """Asks for a long answer and doesn't take it."""
    address = httpx.URL(url)
    body = {
        "model": MODEL,
        "prompt": "Count.",
        "raw": True,
        "options": {"num_predict": -1, "top_k": 0},
        "logprobs": True,
    }
    content = json.dumps({**body, "top_logprobs": 20}).encode()
    head = f"POST /api/generate HTTP/1.1\r\nHost: {address.netloc.decode()}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((address.host, address.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head.encode() + content)
        time.sleep(SILENCE_S)
    return "it left"


def absurd_file(url: str, folder: Path) -> str:
    """A GGUF whose header promises a billion values."""
    path = folder / "absurd.gguf"
    key = b"general.architecture"
    value = struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, 8, 1_000_000_000)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1_000_000_000, 1_000_000_000) + value)
    shown = _post(url, "/api/show", json.dumps({"model": str(path)}).encode())
    return f"{shown}, {_generate(url, model=str(path))}".replace(str(folder), "…")


def long_duration(url: str, _folder: Path) -> str:
    return _generate(url, keep_alive="1h" * (2 * _MB))


def many_stops(url: str, _folder: Path) -> str:
    return _generate(url, options={"stop": [str(number) for number in range(1_000_000)]})


def many_options(url: str, _folder: Path) -> str:
    return _generate(url, options={f"option{number}": 1 for number in range(300_000)})


def many_choices(url: str, _folder: Path) -> str:
    return _generate(url, path="/v1/completions", n=10_000, max_tokens=1)


def many_messages(url: str, _folder: Path) -> str:
    """As many as fit."""
    message = b'{"role":"user","content":"a"},'
    head = b'{"model":"' + MODEL.encode() + b'","stream":false,"messages":['
    return _post(url, "/api/chat", head + (message * (15 * _MB // len(message)))[:-1] + b"]}")


def deep_body(url: str, _folder: Path) -> str:
    return _post(url, "/api/chat", b'{"model":' + b"[" * (5 * _MB))


def small_batches(url: str, _folder: Path) -> str:
    """One token at a time."""
    return _generate(url, prompt="word " * 50, options={"num_batch": 1})


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        huge_body,
        long_prompt,
        special_tokens,
        many_values,
        deep_schema,
        counted_schema,
        nested_loops,
        nested_ranges,
        growing_template,
        dense_template,
        huge_text,
        open_braces,
        never_reads,
        absurd_file,
        long_duration,
        many_stops,
        many_options,
        many_choices,
        many_messages,
        deep_body,
        small_batches,
        poison,
        slow_poison,
    )
}
