"""The site of the documents: it is made without a warning, all its links lead somewhere, and it loads nothing from
elsewhere.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from tests.documents.pages import ROOT, pages

pytestmark = pytest.mark.slow

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
OUTSIDE = {"docs.ray.io", "html.spec.whatwg.org", "127.0.0.1:11434", "localhost:8080"}
"""Where pages lead beside the site: CI can't go there, so a person looks before a name is put here."""


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.places.add(value)
            elif value and (tag, name) in LOADED:
                self.loads.append(value)
            elif value and (tag, name) == ("a", "href"):
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = {path.relative_to(folder).as_posix(): Page(path) for path in folder.rglob("*.html")}
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    missing = [(page, name) for page in found for name in found[page].loads if _target(page, name)[0] not in files]
    assert missing == [], "loaded, and not a part of the site"
    return found


def test_every_page_is_there(site: dict[str, Page]) -> None:
    expected = {page.removeprefix("docs/").replace(".md", ".html") for page in pages() if page != "README.md"}
    assert site.keys() == expected | {"index.html", "changes.html", "404.html"}


def test_links_lead_somewhere(site: dict[str, Page]) -> None:
    broken, outside = [], set()
    for name, page in site.items():
        for link in page.links:
            if urlsplit(link).netloc:
                outside.add(urlsplit(link).netloc)
                continue
            target, place = _target(name, link)
            if target not in site or (place and place not in site[target].places and place != "__top"):
                broken.append((name, link))
    assert broken == []
    assert outside <= OUTSIDE


def test_links_of_the_readme_lead_somewhere_where_it_lies() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def _target(page: str, link: str) -> tuple[str, str]:
    """The file of the site that is meant, and the place in it."""
    path, place = urldefrag(link)
    folder = "." if path.startswith("/") else Path(page).parent  # 404.html may be shown anywhere
    target = os.path.normpath(Path(folder, unquote(path).removeprefix("/"))) if path else page
    return target, unquote(place)
