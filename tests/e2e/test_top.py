"""A window that grows before somebody's eyes."""

import os
import re
from pathlib import Path

from tests.cli.terminal import CTRL_C, Terminal
from tests.e2e.server import MODEL, running


def test_top_shows_a_window_grow(log: Path) -> None:
    with running(log, {"OLLAMA_KV_CACHE_INIT": "256", "OLLAMA_KV_CACHE_GROW": "256"}) as server:
        server.generate("Once", predict=2)
        environment = {**os.environ, "OLLAMA_HOST": server.url, "NO_COLOR": "1"}
        with Terminal("top", environment=environment) as terminal:
            before = terminal.until("/256/8192")
            assert MODEL in before
            server.generate("word " * 240, predict=60)
            grown = terminal.until("grew from 256 to 512 tokens")
            used = [
                int(number) for number in re.findall(r"(\d+)/(?:256|512)/8192", grown + terminal.until("/512/8192"))
            ]
            assert max(used) > 200
            assert used == sorted(used)
            terminal.type(CTRL_C)
            assert terminal.end() == 130
