"""Which web pages and which host names may reach the server (against cross-site requests and DNS rebinding)."""

import ipaddress
import re
import socket
from collections.abc import Iterable

import psutil
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")
_ALWAYS_ALLOWED = (
    *(f"{scheme}://{host}{port}" for host in _LOCAL_HOSTS for scheme in ("http", "https") for port in ("", ":*")),
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
)
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, User-Agent, Accept, X-Requested-With, OpenAI-Beta, x-stainless-lang, "
    "x-stainless-package-version, x-stainless-os, x-stainless-arch, x-stainless-retry-count, x-stainless-runtime, "
    "x-stainless-runtime-version, x-stainless-async, x-stainless-helper-method, x-stainless-poll-helper, "
    "x-stainless-custom-poll-interval, x-stainless-timeout, OpenAI-Organization, OpenAI-Project, X-Api-Key, "
    "Anthropic-Version, Anthropic-Beta, Anthropic-Dangerous-Direct-Browser-Access"
)
_ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
_PREFLIGHT_MAX_AGE_S = 12 * 3600
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^\s:@/?#\[\]\\]*))(?::[0-9]*)?|", re.IGNORECASE | re.ASCII)


class CorsMiddleware:
    """Answers preflights and refuses pages of origins that aren't allowed; requests without `Origin` pass.

    Starlette's own middleware isn't used: it lets requests of other origins through, hiding only the answer.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        allowed = (*origins, *_ALWAYS_ALLOWED)
        self._allows_all = "*" in allowed
        self._allowed = re.compile("|".join(_wildcard(origin) for origin in allowed), re.IGNORECASE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin")
        # A page of this very server is no other origin; that its name is one of ours is HostMiddleware's business.
        if origin is None or origin in (f"http://{headers.get('host')}", f"https://{headers.get('host')}"):
            await self._app(scope, receive, send)
        elif not (self._allows_all or self._allowed.fullmatch(origin)):
            await Response(status_code=403)(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=self._preflight_headers(origin))(scope, receive, send)
        else:
            await self._app(scope, receive, self._announcing(origin, send))

    def _announcing(self, origin: str, send: Send) -> Send:
        async def announce(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._origin_headers(origin).items():
                    headers.add_vary_header(value) if name == "vary" else headers.update({name: value})
            await send(message)

        return announce

    def _origin_headers(self, origin: str) -> dict[str, str]:
        if self._allows_all:
            return {"access-control-allow-origin": "*"}
        return {"access-control-allow-origin": origin, "vary": "Origin"}

    def _preflight_headers(self, origin: str) -> dict[str, str]:
        return {
            **self._origin_headers(origin),
            "access-control-allow-methods": _ALLOWED_METHODS,
            "access-control-allow-headers": _ALLOWED_HEADERS,
            "access-control-max-age": str(_PREFLIGHT_MAX_AGE_S),
        }


class HostMiddleware:
    """Refuses requests for a host name that can't be ours, if the server is bound to a loopback address."""

    def __init__(self, app: ASGIApp, bound_host: str) -> None:
        self._app = app
        self._checks = is_loopback(bound_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._checks:
            await self._app(scope, receive, send)
        elif not is_own_host(Headers(scope=scope).get("host", "")):
            await Response(status_code=403)(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether an address to bind to, as text, is reachable from this machine only."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_own_host(header: str) -> bool:
    """Whether the header `Host` names this machine in a way that no foreign DNS server decides."""
    host = _without_port(header)
    if host is None:
        return False
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_private or address.is_unspecified or _is_own_address(address)
    name = host.lower()
    return name in ("", "localhost", socket.gethostname().lower()) or name.endswith(_LOCAL_SUFFIXES)


def _without_port(header: str) -> str | None:
    """The host in a `Host` header; None if that isn't one."""
    match = _HOST.fullmatch(header)
    return None if match is None else match["name"] or match["ipv6"] or ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_own_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    own = (_address(entry.address.partition("%")[0]) for entries in psutil.net_if_addrs().values() for entry in entries)
    return address in own


def _wildcard(pattern: str) -> str:
    """What an allowed origin matches. An asterisk is never what would make another host of what follows it."""
    host, separator, _port = pattern.rpartition(":*")
    if separator and pattern.endswith(separator):
        return _wildcard(host) + ":[0-9]+"
    return r"[^\s@/?#\\]*".join(re.escape(part) for part in pattern.split("*"))
