"""A front over replicas in processes of their own: turns, loss, and what `ps` shows. Without Ray."""

import itertools
import json
import random
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.counting import PROMPT
from tests.e2e.streams import python_path
from tests.fleet.machines import MODEL, Fleet, running_fleet
from tests.fleet.network import network
from tests.fleet.stories import BEGINNINGS, tell, tell_all
from tests.tiny.encoder import ENCODER_WIDTH, write_bert
from tests.waiting import PATIENCE_S, wait_until

from swell.fleet.routing import ReplicaView, Route, RoutedTurn

pytestmark = [pytest.mark.model, pytest.mark.slow]
PACE = python_path("paced")
"""For runners whose answers must not end before something is done to them."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two machines, shared by tests that leave them as they found them."""
    small = {"OLLAMA_KV_CACHE_INIT": "256", "OLLAMA_KV_CACHE_GROW": "256"}
    folder = tmp_path_factory.mktemp("fleet")
    with running_fleet(folder, "one", "two", OLLAMA_NUM_PARALLEL="16", **small) as started:  # type: ignore[arg-type]
        for name in started.machines:
            started.warm(name)
        yield started


@pytest.fixture(scope="module")
def stories(fleet: Fleet) -> list[str]:
    """What the model tells when nothing happens."""
    return [tell(fleet.front.url, beginning) for beginning in BEGINNINGS]


def stats(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """What `/stats` says of each machine's runner."""
    return {row["replica"]: row["stats"] for row in fleet.http.get("/stats").json()["models"]}


def busy(fleet: Fleet) -> dict[str, int]:
    """How many slots of each machine are in use."""
    return {name: found["slots_in_use"] for name, found in stats(fleet).items()}


def test_streams_at_the_same_time_are_told_as_alone(fleet: Fleet, stories: list[str]) -> None:
    assert tell_all(fleet.front.url, BEGINNINGS) == stories


def count_hits(fleet: Fleet) -> int:
    """Of how many of 20 conversations most of turn two needn't be read: all but the question and the last block. The
    second turns come in another order than the first ones.
    """

    def chat(messages: list[dict[str, str]]) -> dict[str, Any]:
        body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 8}
        answer: dict[str, Any] = fleet.http.post("/v1/chat/completions", json=body).json()
        return answer

    talks = [[{"role": "user", "content": f"Number {n}: {BEGINNINGS[n % 8]} " * 8}] for n in range(20)]
    for talk in talks:
        talk.append(chat(talk)["choices"][0]["message"])
    assert all(found["totals"]["generated"] > 0 for found in stats(fleet).values())
    random.Random(1).shuffle(talks)
    hits = 0
    for talk in talks:
        talk.append({"role": "user", "content": "Go on."})
        usage = chat(talk)["usage"]
        hits += usage["prompt_tokens_details"]["cached_tokens"] > usage["prompt_tokens"] / 2
    return hits


def test_conversations_go_on_where_they_began(fleet: Fleet) -> None:
    assert count_hits(fleet) >= 19


def test_round_robin_would_find_half_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the policy is worth: the same with turns dealt out in turn. Each is asked for twice."""
    asked = itertools.count()

    def next_one(_turn: RoutedTurn, replicas: Collection[ReplicaView]) -> Route | None:
        names = sorted(one.name for one in replicas)
        return Route(names[next(asked) // 2 % 2], 0) if len(names) == 2 else None

    monkeypatch.setattr("swell.fleet.membership.route", next_one)
    with running_fleet(tmp_path, "one", "two", OLLAMA_NUM_PARALLEL="16") as started:
        assert 6 <= count_hits(started) <= 14


def test_memory_is_that_of_all_replicas(fleet: Fleet, stories: list[str]) -> None:
    (row,) = fleet.rows()
    places = row["replicas"]
    assert {(one["replica"], one["node"]) for one in places} == {("one", "node of one"), ("two", "node of two")}
    assert row["size"] == sum(one["size"] for one in places)
    resident = [found["resident_bytes"] for found in stats(fleet).values()]
    assert row["ram_used"] == pytest.approx(sum(resident), rel=0.05)


def test_an_answer_that_its_client_leaves_is_given_up(fleet: Fleet) -> None:
    options = {"num_predict": 4000, "temperature": 0}  # a sampled story may be at its end before anybody looks
    body = {"model": MODEL, "prompt": PROMPT, "raw": True, "options": options}
    with fleet.http.stream("POST", "/api/generate", json=body) as response:
        lines = response.iter_lines()  # with it, httpx would give up the connection
        next(lines)
        assert sum(busy(fleet).values()) == 1
    wait_until(lambda: sum(busy(fleet).values()) == 0, "the slot is free")
    assert fleet.http.get("/stats").json()["server"]["faults"] == []


def test_what_a_request_did_wrong_is_said_as_on_one_machine(fleet: Fleet) -> None:
    long = {"model": MODEL, "prompt": "word " * 9000, "truncate": False, "stream": False}
    refused = fleet.http.post("/api/generate", json=long)
    assert refused.status_code == 400
    assert "exceeds" in refused.text or "long" in refused.text
    schema = {"model": MODEL, "prompt": "A city:", "stream": False, "format": {"enum": ["Oslo"]}}
    assert json.loads(fleet.http.post("/api/generate", json=schema).json()["response"]) == "Oslo"


def test_growths_and_loads_of_replicas_are_counted_where_they_happen(fleet: Fleet) -> None:
    """And told to views, with the model called as it is in their numbers."""
    body = {"model": MODEL, "prompt": "a " * 600, "raw": True, "stream": False, "options": {"num_predict": 1}}
    assert fleet.http.post("/api/generate", json=body).status_code == 200

    def counted() -> set[tuple[str, ...]]:
        text = fleet.http.get("/metrics").text
        return {
            (sample.name, sample.labels["model"], sample.labels["replica"], sample.labels["node"])
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name in ("swell_window_growths_total", "swell_model_loads_total")
        }

    nodes = {name: machine.address.node for name, machine in fleet.machines.items()}
    loads = {("swell_model_loads_total", MODEL, name, node) for name, node in nodes.items()}
    growths = {("swell_window_growths_total", MODEL, name, node) for name, node in nodes.items()}
    wait_until(lambda: counted() >= loads and bool(counted() & growths), "the front is told")
    with fleet.http.stream("GET", "/api/events") as response:
        snapshot = next(json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: "))
    grown = {event["model"] for event in snapshot["events"] if event["event"] == "window_grown"}
    assert grown
    assert grown <= {numbers["model"] for numbers in snapshot["now"]["models"]}


def test_a_model_that_no_replica_has_is_not_found(fleet: Fleet, tmp_path: Path) -> None:
    shared = tmp_path / "shared.gguf"  # a path, which all on this machine have
    write_bert(shared)
    found = fleet.http.post("/api/embed", json={"model": str(shared), "input": ["a", "b"]}).json()
    assert [len(vector) for vector in found["embeddings"]] == [ENCODER_WIDTH] * 2
    fleet.http.post("/api/embed", json={"model": str(shared), "keep_alive": 0, "input": []})
    write_bert(fleet.folder / "lonely.gguf")
    refused = fleet.http.post("/api/embed", json={"model": "lonely", "input": "a"})
    assert refused.status_code == 404
    assert "on any replica" in refused.json()["error"]


def test_likelihoods_belong_to_their_tokens(fleet: Fleet) -> None:
    body = {"model": MODEL, "prompt": BEGINNINGS[0], "raw": True, "stream": False, "logprobs": True, "top_logprobs": 2}
    answer = fleet.http.post("/api/generate", json={**body, "options": {"temperature": 0, "num_predict": 12}}).json()
    assert "".join(one["token"] for one in answer["logprobs"]) == answer["response"]
    assert all(one["top_logprobs"][0]["token"] == one["token"] for one in answer["logprobs"])


def test_a_model_is_unloaded_everywhere(fleet: Fleet, stories: list[str]) -> None:
    assert fleet.rows()
    fleet.http.post("/api/generate", json={"model": MODEL, "keep_alive": 0})
    wait_until(lambda: fleet.rows() == [], "it is unloaded")
    assert tell(fleet.front.url, BEGINNINGS[0]) == stories[0]


def test_strangers_are_told_nothing(fleet: Fleet) -> None:
    """Who doesn't know the secret, and who says something else altogether."""
    address = fleet.machines["one"].address
    for opening in (b"\x16\x00\x00\x00" + b"GET / HTTP/1.1\r\n\r\n" * 5, b"\xff\xff\xff\xff"):
        with socket.create_connection((address.host, address.port), PATIENCE_S) as connection:
            connection.sendall(opening)
            assert connection.recv(100) == b""
    assert "is closed" in fleet.machines["one"].log.read_text()
    assert fleet.http.get("/api/version").status_code == 200


# --- loss --------------------------------------------------------------------------------------------------------


def both_busy(fleet: Fleet) -> bool:
    return len(fleet.machines) == len([count for count in busy(fleet).values() if count])


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Fleet]:
    """Two machines for tests that break one."""
    with running_fleet(tmp_path, "one", "two", OLLAMA_NUM_PARALLEL="8", PYTHONPATH=PACE) as started:
        for name in started.machines:  # both have the model loaded: a story alone would be told by one
            started.warm(name)
        yield started


@pytest.mark.destructive
def test_all_goes_on_when_a_machine_dies(machines: Fleet, stories: list[str]) -> None:
    def kill() -> None:
        assert both_busy(machines)
        machines.machines["one"].kill()

    assert tell_all(machines.front.url, BEGINNINGS, 8, kill) == stories
    assert machines.places() == ["two"]


@pytest.mark.destructive
def test_all_goes_on_when_a_machine_freezes(machines: Fleet, stories: list[str]) -> None:
    def freeze() -> None:
        assert both_busy(machines)
        machines.machines["one"].signal(signal.SIGSTOP)

    assert tell_all(machines.front.url, BEGINNINGS, 8, freeze) == stories
    machines.machines["one"].signal(signal.SIGCONT)
    wait_until(lambda: len(machines.places()) == 2, "it is used again")
    wait_until(lambda: sum(busy(machines).values()) == 0, "it has given up what it did")


@pytest.mark.destructive
def test_all_goes_on_when_a_machine_is_cut_off(tmp_path: Path, stories: list[str]) -> None:
    with network() as cable, running_fleet(tmp_path, "one", OLLAMA_NUM_PARALLEL="8", PYTHONPATH=PACE) as started:
        started.add("two", cable)
        for name in started.machines:
            started.warm(name)

        def pull() -> None:
            assert both_busy(started)
            cable.pull()

        assert tell_all(started.front.url, BEGINNINGS, 8, pull) == stories
        assert started.places() == ["one"]
        cable.plug()
        wait_until(lambda: len(started.places()) == 2, "it is used again")
        wait_until(lambda: sum(busy(started).values()) == 0, "it has given up what it did")


@pytest.mark.destructive
def test_all_goes_on_when_a_runner_dies(machines: Fleet, stories: list[str]) -> None:
    def kill() -> None:
        for process in machines.machines["one"].tree():
            if "swell.runner" in process.cmdline():
                process.kill()

    assert tell_all(machines.front.url, BEGINNINGS, 8, kill) == stories


@pytest.mark.destructive
def test_a_machine_that_drains_finishes_its_answers(machines: Fleet, stories: list[str]) -> None:
    machine = machines.machines["one"]
    assert tell_all(machines.front.url, BEGINNINGS, 8, machine.stop) == stories
    assert machine.process.wait(PATIENCE_S) == 0
    assert "lost" not in machine.log.read_text()


@pytest.mark.destructive
def test_what_takes_longer_than_a_drain_goes_on_elsewhere(tmp_path: Path, stories: list[str]) -> None:
    with running_fleet(tmp_path, "one", "two", OLLAMA_NUM_PARALLEL="8", SWELL_DRAIN="0s", PYTHONPATH=PACE) as started:
        for name in started.machines:
            started.warm(name)
        assert tell_all(started.front.url, BEGINNINGS, 8, started.machines["one"].stop) == stories


def test_turns_wait_for_a_replica_to_come(tmp_path: Path, stories: list[str]) -> None:
    with running_fleet(tmp_path) as started:
        adding = threading.Timer(1, started.add, ["late"])
        adding.start()
        assert tell(started.front.url, BEGINNINGS[0]) == stories[0]
        adding.join()


def test_without_any_replica_turns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swell.fleet.membership.WAIT_S", 0.5)
    with running_fleet(tmp_path) as started:
        body = {"model": MODEL, "prompt": "a", "stream": False}
        refused = started.http.post("/api/generate", json=body)
        assert refused.status_code == 503
        assert "no replica" in refused.json()["error"]
