"""Origins and host names."""

import socket
from typing import Any

import httpx
import psutil
import pytest

from swell.api.http.security import is_own_host
from swell.host import parse_host
from swell.settings import Settings


def _get(server: Any, method: str = "GET", **headers: str) -> httpx.Response:
    response = server.request(method, "/", headers=headers)
    assert isinstance(response, httpx.Response)
    return response


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost:3000",
        "http://127.0.0.1:8080",
        "http://0.0.0.0",
        "app://obsidian.md",
        "file://",
        "tauri://localhost",
        "vscode-webview://abc",
    ],
)
def test_local_origins_are_allowed(server: Any, origin: str) -> None:
    response = _get(server, origin=origin)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["vary"] == "Accept, Origin"


@pytest.mark.parametrize(
    "origin",
    [
        *("http://example.com", "null", "http://localhost.example.com", "http://127.0.0.1.example.com"),
        *("chrome-extension://a", "http://127.0.0.1:1@example.com", "http://localhost:1.example.com", "app://a@b"),
    ],
)  # fmt: skip
def test_other_origins_are_refused(server: Any, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        response = _get(server, method, origin=origin)
        assert (response.status_code, response.text) == (403, "")
        assert "access-control-allow-origin" not in response.headers


def test_origins_from_the_settings(server: Any) -> None:
    server.settings = Settings(origins=("https://*.example.com", "chrome-extension://*"))

    assert _get(server, origin="https://a.example.com").status_code == 200
    assert _get(server, origin="chrome-extension://a").status_code == 200
    assert _get(server, origin="https://a.example.org").status_code == 403


def test_any_origin(server: Any) -> None:
    server.settings = Settings(origins=("*",))

    assert _get(server, origin="https://example.com").headers["access-control-allow-origin"] == "*"


def test_a_preflight_is_answered(server: Any) -> None:
    response = _get(server, "OPTIONS", origin="http://localhost", **{"access-control-request-method": "POST"})

    assert (response.status_code, response.text) == (204, "")
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "Authorization, Content-Type" in response.headers["access-control-allow-headers"]
    allowed = response.headers["access-control-allow-headers"].lower().split(", ")
    for header in ("x-api-key", "anthropic-version", "anthropic-dangerous-direct-browser-access", "openai-project"):
        assert header in allowed


def test_errors_have_the_header_too(server: Any) -> None:
    response = server.request("POST", "/api/chat", headers={"origin": "http://localhost"})

    assert response.status_code == 400
    assert response.headers["access-control-allow-origin"] == "http://localhost"


def test_a_page_of_this_server_is_no_other_origin(server: Any) -> None:
    server.settings = Settings(host=parse_host("0.0.0.0:11434"))

    assert _get(server, host="box.example.com:1", origin="http://box.example.com:1").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:11434", "127.0.0.1:1", "[::1]:11434", "192.168.1.5", "10.0.0.1:80", "0.0.0.0", "a.local",
     "x.internal:5", "y.localhost", socket.gethostname()],
)  # fmt: skip
def test_own_hosts(server: Any, host: str) -> None:
    assert _get(server, host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "example.com:11434", "localhost.example.com", "8.8.8.8", "[2001:4860:4860::8888]:1"),
        *("[::1].example.com", "[::1]example.com:1", "localhost:1@example.com", "localhost:x", "localhost:1:2"),
    ],
)
def test_foreign_hosts_are_refused_on_loopback(server: Any, host: str) -> None:
    response = _get(server, host=host)
    assert (response.status_code, response.text) == (403, "")

    server.settings = Settings(host=parse_host("0.0.0.0"))
    assert _get(server, host=host).status_code == 200


def test_every_address_of_this_machine_is_its_own() -> None:
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family == socket.AF_INET:
                assert is_own_host(f"{entry.address}:11434")


def test_options_without_origin(server: Any) -> None:
    assert _get(server, "OPTIONS").status_code == 204
    assert _get(server, "OPTIONS", host="example.com").status_code == 403
