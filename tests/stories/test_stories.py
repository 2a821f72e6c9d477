"""Random stories of requests, limits, leaves and deaths, with the real application and scheduler and no model.

Time passes at once. Whatever happens, each answer is whole or says why not, nobody's failure is another one's, nobody
waits for ever, and in the end nothing is left.
"""

import asyncio
import dataclasses
import gc
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.scripted import FileModels, application
from tests.scheduler.fakes import Memory
from tests.stories.client import Client
from tests.stories.process import POISON_TOKENS, Fate, Launcher, Moment
from tests.tiny.header import write_gguf
from tests.virtual_time import VirtualClock, VirtualLoop

from swell.memory.budget import parse_budget
from swell.models.catalog import Catalog
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings

REQUESTS = ("swell.api.", "swell.turns.")
"""Where the classes are whose objects belong to one request."""
STORIES = int(os.environ.get("SWELL_TEST_STORIES", "2000"))
BUSY = "server busy"
LOST = "model runner has unexpectedly stopped"
DIED = "llama-server process has terminated"
SHORT = "insufficient memory"
MODELS = ("one:latest", "two:latest")
Body = dict[str, Any]

_alphabet = "".join(map(chr, range(97, 123)))
_counts = st.one_of(st.integers(1, 12), st.integers(14, 40), st.just(-1))
_keep_alives = st.sampled_from([None, 0, 1, -1, 1e300, 2**53, "0", "1ms", "9999999999h", "-1s", "5m"])
_wishes = st.fixed_dictionaries(
    {},
    optional={
        "num_thread": st.integers(-1, 3),
        "num_batch": st.sampled_from([0, 1, 64, 10**9]),
        "num_ctx": st.sampled_from([-1, 0, 1, 16, 100, 10**9]),
        "num_keep": st.integers(-2, 300),
        "use_mmap": st.booleans(),
        "stop": st.lists(st.text("abc", min_size=3, max_size=3), max_size=2),
    },
)


def _native(prompt: str, model: str, count: int, wishes: Body, keep_alive: object, stream: bool) -> Body:
    options = {**wishes, "num_predict": count}
    return {"model": model, "options": options, "keep_alive": keep_alive, "stream": stream, "prompt": prompt}


def _client(draw: st.DrawFn) -> Client:
    model, count, stream = draw(st.sampled_from(MODELS)), draw(_counts), draw(st.booleans())
    if draw(st.integers(0, 9)) == 0:
        count = POISON_TOKENS
    prompt = draw(st.text("xyz ", min_size=1, max_size=8))
    messages = [{"role": "user", "content": prompt}]
    native = _native(prompt, model, count, draw(_wishes), draw(_keep_alives), stream)
    bounded = {"model": model, "messages": messages, "stream": stream, "max_tokens": max(1, count)}
    routes: list[tuple[str, str, Body]] = [
        ("POST", "/api/generate", {**native, "raw": True}),
        ("POST", "/api/generate", native),
        ("POST", "/api/chat", {**native, "messages": messages}),
        ("POST", "/v1/chat/completions", bounded),
        ("POST", "/v1/messages", bounded),
        ("POST", "/v1/completions", {"model": model, "prompt": prompt, "n": 2, "max_tokens": 5, "stream": stream}),
        ("POST", "/v1/messages/count_tokens", bounded),
        ("POST", "/api/embed", {"model": "embed:latest", "input": [prompt, prompt]}),
        ("POST", "/api/generate", {"model": model, "keep_alive": draw(_keep_alives)}),
        ("POST", "/api/generate", {"model": model, "keep_alive": 0}),
        ("GET", "/api/ps", {}),
        ("GET", "/stats", {}),
    ]
    method, path, body = draw(st.sampled_from(routes))
    reads = draw(st.integers(0, 7)) > 0
    patience_s = draw(st.one_of(st.none(), st.floats(0, 3))) if reads else draw(st.floats(0, 3))
    return Client(method, path, body, patience_s, reads)


@dataclasses.dataclass
class Story:
    """Who asks what when, of a server with which limits, and which runners die."""

    limits: Body
    fate: Fate
    clients: list[tuple[float, Client]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    limits = {
        "num_parallel": draw(st.integers(1, 3)),
        "max_loaded_models": draw(st.integers(0, 2)),
        "max_queue": draw(st.sampled_from([0, 1, 512])),
        "kv_budget": draw(st.sampled_from([None, None, parse_budget("40MB"), parse_budget("400MB")])),
        "kv_wait_s": draw(st.sampled_from([0.0, 1.0, 30.0])),
        "keep_alive_s": draw(st.sampled_from([0.0, 0.3, 300.0])),
    }
    deaths = draw(st.frozensets(st.tuples(st.sampled_from(Moment), st.integers(1, 30)), max_size=2))
    clients = [(draw(st.floats(0, 2)), _client(draw)) for _ in range(draw(st.integers(1, 7)))]
    return Story(limits, Fate(deaths), clients)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("models")
    files = {name: write_gguf(folder / name.replace(":", "-")) for name in MODELS}
    files["embed:latest"] = write_gguf(folder / "embed", embeds=True)
    return Catalog([FileModels(files)])


async def tell(story: Story, catalog: Catalog, look: Callable[[], None] = lambda: None) -> None:
    """Let it happen, then let an hour pass, and look for what is left; `look` while the server is still there."""
    launcher = Launcher(story.fate)
    limits = Settings(**story.limits)
    scheduler = Scheduler(limits, memory=Memory(), launch=launcher.start, clock=VirtualClock())
    app = application(limits, scheduler, catalog)

    async def come(after_s: float, client: Client) -> None:
        await asyncio.sleep(after_s)
        await client.run(app)

    await asyncio.gather(*(come(after_s, client) for after_s, client in story.clients))
    await asyncio.sleep(3600)
    look()
    assert scheduler.check_integrity() == []
    assert scheduler.count_busy() == 0
    await scheduler.close()
    assert launcher.alive == 0
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left


@pytest.mark.slow
@pytest.mark.destructive  # it counts the files that are open, which are others' too where tests run side by side
@settings(max_examples=STORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_whatever_happens_answers_are_whole_or_say_why_and_nothing_is_left(catalog: Catalog, story: Story) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(tell(story, catalog))
    for _, client in story.clients:
        check(client, story)
    assert len(os.listdir("/proc/self/fd")) <= open_before  # fewer where garbage of other tests was collected meanwhile


@pytest.mark.slow
@settings(max_examples=max(1, STORIES // 40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_nothing_of_a_request_waits_for_the_garbage_collector(catalog: Catalog, story: Story) -> None:
    """It runs when there are many objects, and a prompt of 15 MB is one: errors kept many of them in cycles."""
    left = set[str]()

    def look() -> None:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        left.update(type(one).__qualname__ for one in gc.garbage if type(one).__module__.startswith(REQUESTS))
        gc.garbage.clear()

    gc.collect()
    gc.disable()
    gc.freeze()  # what was there before isn't looked at
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(tell(story, catalog, look))
    finally:
        gc.unfreeze()
        gc.enable()
    assert not left


def check(client: Client, story: Story) -> None:
    """What a client got may only have to do with its own request, with limits it met, and with memory."""
    text = client.text
    if text and "completions" not in client.path:
        assert text in _alphabet * 200, f"a letter is missing or there twice: {text}"
    if client.has_left or not client.reads:
        return
    assert client.is_whole
    assert client.status in (200, 500, 503, 400), client.received
    if client.error:
        assert _may_say(client, story), client.error
    elif "completions" not in client.path and "done_reason" in client.received.decode():
        wanted = client.body.get("options", {}).get("num_predict", 0)
        if client.lines[-1].get("done_reason") == "length" and 0 < wanted <= 12 and story.limits["kv_budget"] is None:
            assert len(text) == wanted


def _may_say(client: Client, story: Story) -> bool:
    error = client.error
    if BUSY in error:
        return bool(story.limits["max_queue"] < 512)
    if SHORT in error:
        return story.limits["kv_budget"] is not None
    if LOST in error or DIED in error:
        options = client.body.get("options", {})
        return POISON_TOKENS in (options.get("num_predict"), client.body.get("max_tokens"))
    return "context size" in error  # the window it asked for is smaller than its prompt
