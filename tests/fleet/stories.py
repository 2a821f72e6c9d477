"""Greedy answers through a front, and what is done to the fleet meanwhile."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from tests.waiting import PATIENCE_S

MODEL = "smollm2:135m"
BEGINNINGS = (
    "Once upon a time there was a lighthouse keeper who",
    "The recipe begins with three onions, and then",
    "On Monday the postman found a letter without an address, so",
    "In the year 2140 the first ship left for",
    "My grandmother used to say that the sea",
    "A list of animals that can swim:",
    "The old clock in the hall had stopped because",
    "Dear neighbour, I am writing to you about",
)
TOKENS = 60


def tell(url: str, beginning: str, on_token: Callable[[int], None] = lambda _: None, tokens: int = TOKENS) -> str:
    """The story, streamed; `on_token` hears how many pieces have come."""
    body = {"model": MODEL, "prompt": beginning, "raw": True, "options": {"temperature": 0, "num_predict": tokens}}
    story = ""
    with (
        httpx.Client(base_url=url, timeout=PATIENCE_S * 4, trust_env=False) as http,
        http.stream("POST", "/api/generate", json=body) as response,
    ):
        for number, line in enumerate(response.iter_lines()):
            assert response.status_code == 200, line
            part = json.loads(line)
            assert "error" not in part, part
            story += part["response"]
            on_token(number + 1)
    return story


def tell_all(url: str, beginnings: Sequence[str], pieces: int = 0, act: Callable[[], None] = lambda: None) -> list[str]:
    """The stories, all at the same time; once each has `pieces`, `act` is called."""
    reached = threading.Barrier(len(beginnings) + 1) if pieces else None

    def told(beginning: str) -> str:
        def on_token(number: int) -> None:
            if reached is not None and number == pieces:
                reached.wait(PATIENCE_S * 2)

        return tell(url, beginning, on_token)

    with ThreadPoolExecutor(len(beginnings)) as pool:
        stories = [pool.submit(told, beginning) for beginning in beginnings]
        if reached is not None:
            reached.wait(PATIENCE_S * 2)
            act()
        return [story.result() for story in stories]
