"""A registry that does what a test wants, and remembers what it was asked."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

from swell.store.digests import digest_of
from swell.store.manifests import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE

REPOSITORY = "library/m"
_PIECE_BYTES = 1 << 14


def digest(content: bytes) -> str:
    return digest_of(hashlib.sha256(content).hexdigest())


def layer(content: bytes, kind: str = f"{LAYER_TYPE}model", **changes: object) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content), **changes}


def manifest(*layers: dict[str, object], config: dict[str, object] | None = None) -> bytes:
    """With an indentation that no encoder of Swell's would choose: the bytes must stay."""
    fields = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers}
    return json.dumps({**fields, **({"config": config} if config else {})}, indent=3).encode()


class Asked(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]


class Exchange(BaseHTTPRequestHandler):
    """One request, and ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do(self) -> None:
        registry = self.server.registry
        target = urlsplit(self.path)
        self.target = target.path + (f"?{target.query}" if target.query else "")  # a proxy is sent whole URLs
        registry.asked.append(Asked(self.command, self.path, dict(self.headers)))
        if not (registry.script and registry.script(self)):
            registry.answer(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do

    def reply(self, status: int, body: bytes = b"", /, **headers: str) -> bool:
        """Answer, and be True, as a script that has answered; underscores in names of headers stand for hyphens."""
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **named}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: "ScriptedRegistry"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed break their connections."""


class ScriptedRegistry:
    """Serves manifests and blobs, with ranges. A script may answer before it does."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.script: Callable[[Exchange], bool] | None = None
        """Answers a request and returns True, or returns False."""
        self.sent_bytes = 0
        """Of blobs, in all."""
        self.on_sent: Callable[[int], None] | None = None
        """Told how many bytes of blobs were sent, in the thread that sends them, whenever it is some more."""
        self._counting = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.registry = self

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def add(self, layers: Sequence[bytes], tag: str = "latest") -> bytes:
        """Have a model of these layers; its manifest. The last one is the configuration."""
        for content in layers:
            self.blobs[digest(content)] = content
        made = manifest(*(layer(content) for content in layers[:-1]), config=layer(layers[-1], CONFIG_TYPE))
        self.manifests[tag] = made
        return made

    def answer(self, exchange: Exchange) -> None:
        kind, _, name = exchange.target.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        if kind == "manifests" and name in self.manifests:
            exchange.reply(200, self.manifests[name], Content_Type=MANIFEST_TYPE)
        elif kind == "blobs" and name in self.blobs:
            self._send_blob(exchange, self.blobs[name])
        else:
            exchange.reply(404, b'{"errors":[]}')

    def _send_blob(self, exchange: Exchange, content: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", exchange.headers.get("Range", ""))
        start, end = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, len(content))
        exchange.send_response(206 if wanted else 200)
        exchange.send_header("Content-Length", str(end - start))
        if wanted:
            exchange.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        exchange.end_headers()
        for at in range(start, end, _PIECE_BYTES):
            piece = content[at : min(at + _PIECE_BYTES, end)]
            exchange.wfile.write(piece)
            with self._counting:
                self.sent_bytes += len(piece)
                sent = self.sent_bytes
            if self.on_sent is not None:
                self.on_sent(sent)

    @contextmanager
    def serving(self) -> Iterator["ScriptedRegistry"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
