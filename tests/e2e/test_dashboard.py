"""The dashboard as people use it: in a browser, with a real server and the real model."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.browser import DESKTOP, PHONE, barriers, chromium, keep, opened
from tests.e2e.server import MODEL, Server, running
from tests.waiting import wait_until

from swell.sizes.learning import SIZES_MIN

BLOCK_TOKENS = 64
QUICK = {
    "OLLAMA_NUM_PARALLEL": "1",
    "OLLAMA_KV_CACHE_INIT": str(BLOCK_TOKENS),
    "OLLAMA_KV_CACHE_GROW": str(BLOCK_TOKENS),
    "SWELL_KV_IDLE_SHRINK": "1s",
}
STORY = "Tell me a long story about the sea."
MARKUP = "<img src=nothing onerror=\"document.title='run'\"><b>bold</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose windows rise and fall within seconds."""
    with running(tmp_path_factory.mktemp("dashboard") / "log", QUICK) as started:
        yield started


def granted(page: Page) -> int:
    """What the timeline says that is granted now."""
    text = page.locator("#timeline .key.granted b").inner_text()
    return int(text.replace(",", "")) if text[0].isdigit() else 0


def plotted(page: Page) -> list[float]:
    """How high the plotted grant is, from the left to the right, in parts of the chart."""
    path = page.locator("#timeline path.step.granted").get_attribute("d") or ""
    return [210 - float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]


def ask(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()


def test_a_chat_makes_the_window_rise_and_fall(browser: Browser, quick: Server) -> None:
    with opened(browser, quick.url) as page:
        ask(page, STORY)
        growths = page.locator("#timeline path.mark.growth")
        expect(growths.nth(1)).to_be_attached()  # two blocks at least, beside the first grant
        wait_until(lambda: granted(page) >= 3 * BLOCK_TOKENS, "the numbers say so")
        expect(page.locator("article.model .badge")).to_contain_text("tokens/s")
        keep(page, "growing")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#conversation")).to_contain_text("Stopped.")
        high = granted(page)
        meter = page.get_by_role("meter", name=f"Window of {MODEL}")
        assert int(meter.get_attribute("aria-valuenow") or 0) > 2 * BLOCK_TOKENS
        heights = plotted(page)
        assert heights[-1] == max(heights) > min(heights)

        page.get_by_role("button", name="New chat").click()
        ask(page, "Hi")
        expect(page.locator(".answer")).not_to_be_empty()
        page.get_by_role("button", name="New chat").click()
        wait_until(lambda: 0 < granted(page) < high - BLOCK_TOKENS, "it falls when idle")
        expect(page.locator("#timeline path.mark.shrink").first).to_be_attached()
        wait_until(lambda: plotted(page)[-1] < max(plotted(page)), "it is plotted")

        told = page.locator("#happenings").inner_text()
        assert f"{MODEL} was loaded" in told
        assert re.search(rf"{MODEL} grew from \d+ to \d+ tokens", told)
        assert re.search(rf"{MODEL} shrank from \d+ to \d+ tokens", told)
        expect(page.locator("#answers tr").filter(has_text="client left").first).to_be_attached()
        keep(page, "fallen")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(browser: Browser, quick: Server, scheme: str) -> None:
    quick.ask("/api/chat", messages=[{"role": "user", "content": "Hi"}], options={"num_predict": 3})
    with opened(browser, quick.url) as page:
        page.get_by_role("button", name="Theme").click()
        if scheme == "dark":
            page.get_by_role("button", name="Theme").click()
        expect(page.get_by_role("button", name=f"Theme: {scheme}")).to_be_visible()
        expect(page.locator("#answers tr").first).to_be_visible()
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (min(map(int, re.findall(r"\d+", colour))) > 127) == (scheme == "light")
        assert barriers(page) == []
        keep(page, scheme)
        page.reload()
        expect(page.get_by_role("button", name=f"Theme: {scheme}")).to_be_visible()  # it is remembered


def test_it_shows_what_was_learned_from_answers(browser: Browser, speller: str, tmp_path: Path) -> None:
    settings = {**QUICK, "OLLAMA_KV_CACHE_INIT": "auto", "XDG_STATE_HOME": str(tmp_path)}
    with running(tmp_path / "log", settings) as server:
        server.generate("x" * 100, predict=4, model=speller)
        with opened(browser, server.url) as page:
            model = page.locator("article.model")
            expect(model.locator("figcaption")).to_contain_text("half up to 108 tokens")
            expect(model.locator("dt:text('First grant') + dd")).to_have_text("2,048")
            for _ in range(SIZES_MIN):
                server.generate("x" * 300, predict=4, model=speller)
            expect(model).to_contain_text(f"The latest {SIZES_MIN + 1} answers")
            expect(model.locator("dt:text('First grant') + dd")).to_have_text("2,048, next time 320")
            expect(model.locator(".bins > div")).to_have_text(["128", "256", "512"])
            assert barriers(page) == []
            keep(page, "learned")


def test_it_fits_a_phone(browser: Browser, quick: Server) -> None:
    with opened(browser, quick.url, PHONE) as page:
        ask(page, "Hi")
        expect(page.locator(".answer")).not_to_be_empty()
        page.get_by_role("button", name="New chat").click()
        expect(page.locator("article.model")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert barriers(page) == []
        keep(page, "phone")


def test_it_is_used_by_keyboard(browser: Browser, quick: Server) -> None:
    with opened(browser, quick.url) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the chat")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.type("Hi")
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).not_to_be_empty()
        page.get_by_role("button", name="New chat").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_have_count(0)
        page.locator("#timeline").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#readout")).to_contain_text("Window")
        expect(page.locator("#timeline .cursor").first).to_have_attribute("d", re.compile("^M"))
        page.keyboard.press("Escape")
        expect(page.locator("#timeline .cursor").first).to_have_attribute("d", "")


def test_who_asks_before_the_models_are_known_is_answered(browser: Browser, quick: Server) -> None:
    with opened(browser, quick.url) as page:
        page.locator("#chat-model").evaluate("select => { select.replaceChildren(); delete select.dataset.options; }")
        ask(page, "Hi")
        expect(page.locator(".answer")).not_to_be_empty()
        page.get_by_role("button", name="New chat").click()


def test_what_is_written_is_text(browser: Browser, quick: Server) -> None:
    with opened(browser, quick.url) as page:
        ask(page, MARKUP)
        expect(page.locator("#conversation .said.user p")).to_have_text(MARKUP)
        page.get_by_role("button", name="New chat").click()
        assert page.locator("#conversation img, #conversation b").count() == 0
        assert page.title() == "Swell"


def test_an_error_is_shown_and_the_chat_goes_on(browser: Browser, quick: Server) -> None:
    with opened(browser, quick.url, may_fail="/api/chat") as page:
        page.route("**/api/chat", lambda route: route.continue_(post_data='{"model": "no-such-model"}'), times=1)
        ask(page, "Hi")
        expect(page.locator("#conversation .failed")).to_contain_text("not found")
        ask(page, "Hi")
        expect(page.locator(".answer").last).not_to_be_empty()


def test_a_page_that_nobody_sees_costs_nothing(browser: Browser, quick: Server) -> None:
    hide = "value => { Object.defineProperty(document, 'hidden', {value, configurable: true});" + (
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    with opened(browser, quick.url) as page:
        with page.expect_event("requestfailed") as ended:  # the stream of events
            page.evaluate(hide, True)
        assert ended.value.url.endswith("/api/events")
        expect(page.locator("#connection")).to_have_text("paused")
        page.evaluate(hide, False)
        expect(page.locator("#connection")).to_have_text("live")


def test_it_comes_back_with_the_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    logs = tmp_path_factory.mktemp("restart")
    with running(logs / "first") as first:
        port = int(first.url.rpartition(":")[2])
        first.generate("Hello", predict=2)
        with opened(browser, first.url, DESKTOP, may_fail="/api/events") as page:
            expect(page.locator("article.model")).to_be_visible()
            first.stop()
            expect(page.locator("#connection")).to_contain_text("trying again")
            with running(logs / "second", port=port):
                expect(page.locator("#connection")).to_have_text("live")
                expect(page.locator("article.model")).to_have_count(0)
                expect(page.locator("#happenings")).to_contain_text(f"{MODEL} was loaded")  # what was is kept
