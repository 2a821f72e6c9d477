"""HTTP with one registry: authorisation, redirects, and errors of its own kind.

No credential is ever sent to another host than the registry's, and nothing that a registry says is read without bound.
"""

import base64
import contextlib
import logging
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import httpx
import msgspec

from swell.errors import (
    InvalidRequestError,
    NotInRegistryError,
    RegistryAnswerError,
    RegistryStatusError,
    RegistryUnreachableError,
    StoreError,
)
from swell.registry.challenges import Challenge, parse_challenge
from swell.registry.messages import TransferJob
from swell.version import OLLAMA_API_VERSION, __version__

log = logging.getLogger(__name__)

_HOPS_MAX = 10
"""Redirects, and a new token, for one call."""
_REFUSAL_MAX_BYTES = 2048
"""So much is shown of what a registry says when it refuses."""
_TOKEN_MAX_BYTES = 1 << 16
_NONCE_BYTES = 16
_GO_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_REDIRECTS = (301, 302, 303, 307, 308)

Body = bytes | Callable[[], Iterator[bytes]]
"""What is sent; a function gives it again for each attempt."""


class _TokenReply(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class RegistryClient:
    """The registry of one model. Threads may share it; each call is one at a time."""

    def __init__(self, job: TransferJob) -> None:
        """Raises InvalidRequestError if the host in the job's name can't be one."""
        self._key_file = Path(job.key_file)
        self._token = ""
        self._authorising = threading.Lock()
        try:
            self._base = httpx.URL(f"{job.scheme}://{job.name.host}/v2/{job.name.namespace}/{job.name.model}/")
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InvalidRequestError("invalid model name") from error
        self.host = job.name.host
        stall_s, patience_s = job.limits.stall_s, job.limits.patience_s
        self._uploading = httpx.Timeout(stall_s, read=patience_s, pool=None)  # what was sent has to be hashed there
        self._http = httpx.Client(
            timeout=httpx.Timeout(stall_s, pool=None),
            limits=httpx.Limits(max_connections=None),
            headers={"User-Agent": _user_agent(), "Accept-Encoding": "identity"},
        )

    @contextlib.contextmanager
    def call(
        self,
        method: str,
        target: str | httpx.URL,
        step: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Iterator[httpx.Response]:
        """The answer, whose body is still to be read. `target` is a URL, or a path below the repository's.

        GET and HEAD follow redirects; for others these are answers like any. Raises NotInRegistryError and
        RegistryStatusError, which begin with `step`, RegistryUnreachableError and RegistryAnswerError; the body of the
        block may raise httpx's errors, which become these.
        """
        url = target if isinstance(target, httpx.URL) else self._base.join(target)
        refused_token: str | None = None
        try:
            for _ in range(_HOPS_MAX):
                token = self._token if self.is_own(url) else ""
                with self._send(method, url, headers, body, token) as response:
                    if response.status_code == 401 and self.is_own(url) and refused_token is None:
                        refused_token = token
                        if self._authorise(response.headers.get("WWW-Authenticate", ""), token):
                            continue
                    if response.status_code in _REDIRECTS and method in ("GET", "HEAD"):
                        url = self.location(response, "Location")
                        continue
                    self._check(response, step)
                    yield response
                    return
        except httpx.HTTPError as error:
            raise RegistryUnreachableError(url.host, _reason(error)) from error
        raise RegistryAnswerError(self.host, "it redirects again and again")

    def is_own(self, url: httpx.URL) -> bool:
        """Whether `url` is on the registry's own host and port, so that it may be sent what is the registry's."""
        return url.netloc == self._base.netloc and self._is_as_safe(url)

    def location(self, response: httpx.Response, header: str) -> httpx.URL:
        """Where a header of `response` leads. Raises RegistryAnswerError if that is no place to go to."""
        try:
            url = response.url.join(response.headers.get(header, ""))
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise RegistryAnswerError(self.host, f"its {header} can't be read") from error
        if header not in response.headers or not url.host:
            raise RegistryAnswerError(self.host, f"a {header} is missing")
        if not self._is_as_safe(url):
            raise RegistryAnswerError(self.host, "it leads to a place without encryption")
        return url

    def read(self, response: httpx.Response, limit_bytes: int) -> bytes:
        """The body of `response`. Raises RegistryAnswerError if it is longer than that, and httpx's errors."""
        content = bytearray()
        for piece in response.iter_raw():
            content += piece
            if len(content) > limit_bytes:
                raise RegistryAnswerError(response.url.host, f"it has more than {limit_bytes} bytes")
        return bytes(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def _is_as_safe(self, url: httpx.URL) -> bool:
        return url.scheme == "https" or (url.scheme == "http" and self._base.scheme == "http")

    def _send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str] | None, body: Body | None, token: str
    ) -> contextlib.AbstractContextManager[httpx.Response]:
        all_headers = dict(headers or {})
        if token:
            all_headers["Authorization"] = f"Bearer {token}"
        content = body() if callable(body) else body
        timeout = self._uploading if method in ("PATCH", "PUT") else self._http.timeout
        return self._http.stream(method, url, headers=all_headers, content=content, timeout=timeout)

    def _check(self, response: httpx.Response, step: str) -> None:
        """Raise what a refusal is."""
        if response.status_code == 404:
            raise NotInRegistryError(step)
        if response.status_code >= 400:
            raise RegistryStatusError(step, response.status_code, _refusal(response))
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RegistryAnswerError(response.url.host, "it is compressed, though that wasn't asked for")

    # --- tokens ------------------------------------------------------------------------------------------------

    def _authorise(self, header: str, refused_token: str) -> bool:
        """Get another token than the refused one; whether there is a way to get any."""
        challenge = parse_challenge(header)
        if challenge is None:
            return False
        with self._authorising:
            if self._token == refused_token:  # otherwise another thread has just got one
                self._token = self._new_token(challenge)
        return True

    def _new_token(self, challenge: Challenge) -> str:
        """The registry itself is shown a signature; other hosts, and a registry that won't have it, nothing."""
        try:
            realm = httpx.URL(challenge.realm)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise RegistryAnswerError(self.host, "it names no usable place to get a token") from error
        if not realm.host or not self._is_as_safe(realm) or realm.userinfo:
            raise RegistryAnswerError(self.host, "it names no safe place to get a token")
        wanted = [("service", challenge.service)] if challenge.service else []
        wanted += [("scope", scope) for scope in challenge.scopes]
        if self.is_own(realm):
            from swell.registry.keys import signed  # 40 ms that few pulls need

            nonce = base64.urlsafe_b64encode(secrets.token_bytes(_NONCE_BYTES)).decode().rstrip("=")
            url = _with_query(realm, [*wanted, ("ts", str(int(time.time()))), ("nonce", nonce)])
            try:
                return self._ask_token(url, {"Authorization": signed(str(url), self._key_file)})
            except StoreError as error:
                log.warning("asking for a token without a signature: %s", error)
            except (RegistryStatusError, NotInRegistryError):
                log.info("%s takes no signature", self.host)
        return self._ask_token(_with_query(realm, wanted), {})

    def _ask_token(self, url: httpx.URL, headers: Mapping[str, str]) -> str:
        with self._send("GET", url, headers, None, "") as response:
            self._check(response, "")
            content = self.read(response, _TOKEN_MAX_BYTES)
        try:
            reply = msgspec.json.decode(content, type=_TokenReply)
        except (msgspec.DecodeError, UnicodeDecodeError):
            reply = _TokenReply()
        token = reply.token or reply.access_token
        if not token or not token.isascii() or not token.isprintable():
            raise RegistryAnswerError(url.host, "it gives no token")
        return token


def _with_query(url: httpx.URL, parameters: list[tuple[str, str]]) -> httpx.URL:
    query = b"&".join(part for part in (url.query, urlencode(parameters).encode()) if part)
    return url.copy_with(query=query)


def _user_agent() -> str:
    machine = platform.machine().lower()
    version = f"ollama/{OLLAMA_API_VERSION} ({_GO_MACHINES.get(machine, machine)} {sys.platform})"
    return f"{version} swell/{__version__}"


def _refusal(response: httpx.Response) -> str:
    """The beginning of what the registry says, as one line that does nothing to a terminal."""
    said = bytearray()
    for piece in response.iter_raw():
        said += piece
        if len(said) >= _REFUSAL_MAX_BYTES:
            break
    text = said[:_REFUSAL_MAX_BYTES].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "nothing came for too long"
    return "".join(character for character in str(error) if character.isprintable()) or type(error).__name__
