"""A client of the application, without a connection: what it sends, how long it stays, and what it got."""

import asyncio
import dataclasses
import json
from typing import Any

from starlette.types import ASGIApp, Message


@dataclasses.dataclass
class Client:
    """Sends one request. It leaves after `patience_s`, and if it doesn't read, takes nothing beyond the first piece."""

    method: str
    path: str
    body: dict[str, Any]
    patience_s: float | None = None
    reads: bool = True
    status: int = 0
    has_left: bool = False
    received: bytes = b""
    is_whole: bool = False

    async def run(self, app: ASGIApp) -> None:
        gone = asyncio.Event()
        messages: list[Message] = [{"type": "http.request", "body": json.dumps(self.body).encode(), "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            elif not gone.is_set():
                self.received += message["body"]
                self.is_whole = not message.get("more_body", False)
            if not self.reads:
                await gone.wait()
            await asyncio.sleep(0)

        def leave() -> None:
            self.has_left = True
            gone.set()

        timer = None if self.patience_s is None else asyncio.get_running_loop().call_later(self.patience_s, leave)
        try:
            await app(self._scope(), receive, send)
        finally:
            if timer is not None:
                timer.cancel()

    def _scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:11434"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 11434),
        }

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The documents of an answer, of one piece, lines or events."""
        data = (line.removeprefix("data: ") for line in self.received.decode().splitlines())
        return [json.loads(line) for line in data if line.startswith("{")]

    @property
    def text(self) -> str:
        """What the model said."""
        return "".join(map(_text, self.lines))

    @property
    def error(self) -> str:
        """What the answer says went wrong."""
        for line in self.lines:
            found = line.get("error")
            if found:
                return str(found.get("message", found)) if isinstance(found, dict) else str(found)
        return ""


def _text(line: dict[str, Any]) -> str:
    if "choices" in line:
        return "".join(
            choice.get("text") or (choice.get("delta") or choice.get("message") or {}).get("content") or ""
            for choice in line["choices"]
        )
    if "message" in line and "content" in line["message"] and isinstance(line["message"]["content"], str):
        return str(line["message"]["content"])
    if "delta" in line:
        return str(line["delta"].get("text", ""))
    if isinstance(line.get("content"), list):
        return "".join(part.get("text", "") for part in line["content"])
    return str(line.get("response", ""))
