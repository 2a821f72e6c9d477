"""A stream beside each attack goes on as if it were alone, and afterwards the server is as before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.attacks import ATTACKS
from tests.counting import counted, expected
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import sabotaged
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.destructive]

TOKENS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server") / "log", sabotaged({"OLLAMA_NUM_PARALLEL": "4"})) as started:
        yield started


@pytest.mark.parametrize("name", ATTACKS)
def test_a_stream_beside_an_attack_is_as_if_alone(server: Server, name: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as attacker:
        attack = attacker.submit(ATTACKS[name], server.url, tmp_path)
        streams = 0
        while streams == 0 or not attack.done():
            first = streams % 12 + 1
            found = server.generate(counted(first, 30), predict=TOKENS)
            assert found["response"] == expected(first + 30, len(found["response"]))
            assert (found["eval_count"], found["done_reason"]) == (TOKENS, "length")
            streams += 1
        attack.result()
    wait_until(lambda: _in_use(server) == 0, "all slots are idle")
    assert server.http.get("/stats").json()["server"]["faults"] == []


def _in_use(server: Server) -> int:
    rows = server.http.get("/stats").json()["models"]
    return sum(row["stats"]["slots_in_use"] if row["stats"] else 1 for row in rows if row["name"] == MODEL)
