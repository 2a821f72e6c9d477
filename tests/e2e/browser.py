"""Debian's Chromium, driven by Playwright, which brings no browser of its own here."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, ViewportSize, expect, sync_playwright
from tests.waiting import PATIENCE_S

DESKTOP: ViewportSize = {"width": 1360, "height": 1000}
PHONE: ViewportSize = {"width": 360, "height": 740}
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
"""Where the tests leave what they saw."""

expect.set_options(timeout=PATIENCE_S * 1000)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. As root it has no sandbox."""
    program = shutil.which("chromium")
    assert program is not None, "the tests of the dashboard need Debian's package chromium"
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=program, args=flags) as browser:
        yield browser


@contextlib.contextmanager
def opened(browser: Browser, url: str, size: ViewportSize = DESKTOP, *, may_fail: str = "") -> Iterator[Page]:
    """The dashboard, once it shows what the server says. It fails if the browser complains about anything.

    With `may_fail` it may complain about loading what has that in its address.
    """
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        is_expected = may_fail and may_fail in message.location["url"]
        if message.type in ("error", "warning") and not is_expected:
            complaints.append(message.text)

    def fail(error: Error) -> None:
        complaints.append(str(error))

    with browser.new_context(viewport=size) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", note)
        page.on("pageerror", fail)
        page.goto(url)
        expect(page.locator("#connection")).to_have_text("live")
        yield page
    assert complaints == []


def keep(page: Page, name: str) -> None:
    """A picture of the whole page, for people to look at."""
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def barriers(page: Page) -> list[str]:
    """What keeps people from using the page, as axe-core finds it: all that it calls moderate or worse."""
    found = Axe().run(page).response
    assert len(found["passes"]) > 20, "it looked at something"
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']}"
        for rule in found["violations"]
        if rule["impact"] != "minor"
        for node in rule["nodes"]
    ]
