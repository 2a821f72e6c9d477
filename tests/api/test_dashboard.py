"""What `/` is to browsers and to everybody else, and the files that browsers ask for then."""

import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.api.web.accept import prefers_html
from swell.api.web.files import site
from swell.settings import Settings

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CURL = "*/*"


def get(server: Any, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    response = server.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    assert isinstance(response, httpx.Response)
    return response


@pytest.mark.parametrize(
    "accept", [CHROMIUM, FIREFOX, "text/html", "Text/HTML;level=1", "text/html;q=0.9, text/plain;q=0.5"]
)
def test_browsers_are_shown_the_dashboard(server: Any, accept: str) -> None:
    for method in ("GET", "HEAD"):
        response = get(server, method=method, accept=accept)
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "accept",
    [
        CURL,
        "",
        "text/plain",
        "application/json",
        "text/plain, text/html",
        "text/html;q=0, */*",
        "text/html;q=x",
        ",;q=,",
    ],
)
def test_all_others_are_told_that_it_runs(server: Any, accept: str) -> None:
    response = get(server, accept=accept)
    assert (response.status_code, response.text) == (200, "Ollama is running")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert get(server, method="HEAD", accept=accept).status_code == 200


@given(st.text())
def test_any_header_is_understood_somehow(accept: str) -> None:
    if prefers_html(accept):
        assert "text/html" in accept.lower()


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_one_that_is_wanted_more_is_sent(html: int, text: int) -> None:
    assert prefers_html(f"text/plain;q={text / 1000}, text/html;q={html / 1000}") == (html > text)


def test_it_can_be_turned_off(server: Any) -> None:
    name = next(iter(site().files))
    path = f"/web/{site().version}/{name}"
    assert get(server, path).status_code == 200
    server.settings = Settings(dashboard=False)
    assert get(server, accept=CHROMIUM).text == "Ollama is running"
    assert (get(server, path).status_code, get(server, path).text) == (404, "404 page not found")


def test_the_page_asks_for_its_own_files_only_and_they_are_kept(server: Any) -> None:
    page = get(server, accept=CHROMIUM)
    asked = re.findall(r'(?:src|href)="([^"#][^"]*)"', page.text)
    assert asked
    for path in asked:
        response = get(server, f"/{path}")
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
    for name, file in site().files.items():
        response = get(server, f"/web/{site().version}/{name}")
        assert response.content == file.content
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", file.content)


@pytest.mark.parametrize(
    "path",
    ["/web/0000000000000000/main.js", "/web/{}/nothing.js", "/web/{}/index.html", "/web/{}/..%2Ffiles.py", "/web/{}"],
)
def test_nothing_else_is_there(server: Any, path: str) -> None:
    assert get(server, path.format(site().version)).status_code == 404


def test_what_a_browser_has_is_not_sent_again(server: Any) -> None:
    page = get(server, accept=CHROMIUM)
    assert page.headers["cache-control"] == "no-cache"
    tag = page.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(server, accept=CHROMIUM, if_none_match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (tag, "Accept")
    assert get(server, accept=CHROMIUM, if_none_match='"other"').status_code == 200


def test_browsers_are_told_to_run_nothing_but_the_files(server: Any) -> None:
    name = next(name for name in site().files if name.endswith(".js"))
    for response in (get(server, accept=CHROMIUM), get(server, f"/web/{site().version}/{name}")):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


def test_hosts_and_origins_are_those_of_the_api(server: Any) -> None:
    assert get(server, accept=CHROMIUM, host="example.com").status_code == 403
    assert get(server, accept=CHROMIUM, origin="http://example.com").status_code == 403
    allowed = get(server, accept=CHROMIUM, origin="http://localhost:3000")
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert allowed.headers["vary"] == "Accept, Origin"
