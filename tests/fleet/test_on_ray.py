"""A fleet on a real Ray cluster of two nodes with replicas: official clients, and what becomes of answers when nodes
die, freeze or are replaced.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import ollama
import openai
import psutil
import pytest
from tests.fleet.cluster import MODEL, RayFleet, running_on_ray
from tests.fleet.stories import BEGINNINGS, tell, tell_all
from tests.waiting import PATIENCE_S, wait_until

pytestmark = [
    *(pytest.mark.fleet, pytest.mark.model, pytest.mark.destructive, pytest.mark.timeout(900)),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

KILLS = int(os.environ.get("SWELL_FLEET_KILLS", "1"))
"""How often a node is killed."""
PIECES = 8
QUESTION: Any = [{"role": "user", "content": "What is 2+2? Answer with one number."}]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayFleet]:
    """Two replicas, shared by all tests: each leaves as many as it has found."""
    with running_on_ray(tmp_path_factory.mktemp("ray"), 2) as started:
        yield started


@pytest.fixture(scope="module")
def stories(fleet: RayFleet) -> list[str]:
    """What the model tells when nothing happens."""
    return [tell(fleet.url, beginning) for beginning in BEGINNINGS]


@pytest.fixture
def warm(fleet: RayFleet) -> RayFleet:
    """All replicas have the model loaded."""
    fleet.warm()
    return fleet


def test_the_client_of_ollama(fleet: RayFleet) -> None:
    client = ollama.Client(host=fleet.url)
    options = {"temperature": 0, "num_predict": 12}
    whole = client.generate(MODEL, "The sky is", options=options)
    parts = list(client.generate(MODEL, "The sky is", options=options, stream=True))
    assert "".join(part.response or "" for part in parts) == whole.response
    chat = client.chat(MODEL, QUESTION, options=options)
    said = "".join(part.message.content or "" for part in client.chat(MODEL, QUESTION, options=options, stream=True))
    assert said == chat.message.content
    assert [model.model for model in client.list().models] == [MODEL]
    assert [model.model for model in client.ps().models] == [MODEL]


def test_the_client_of_openai(fleet: RayFleet) -> None:
    asked: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_tokens": 12, "messages": QUESTION}
    with openai.OpenAI(base_url=f"{fleet.url}/v1", api_key="unused", max_retries=0) as client:
        whole = client.chat.completions.create(**asked).choices[0].message.content
        chunks = list(client.chat.completions.create(stream=True, **asked))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
        answer = client.responses.create(model=MODEL, input="What is 2+2?", temperature=0, max_output_tokens=12)
        assert answer.output_text


def test_the_client_of_anthropic(fleet: RayFleet) -> None:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 12, "messages": QUESTION, "extra_body": {"temperature": 0}}
    with anthropic.Anthropic(base_url=fleet.url, api_key="unused", max_retries=0) as client:
        (block,) = client.messages.create(**asked).content
        events = list(client.messages.create(stream=True, **asked))
        assert block.type == "text"
        assert "".join(_text(event) for event in events) == block.text
        assert client.messages.count_tokens(model=MODEL, messages=QUESTION).input_tokens > 5


def _text(event: Any) -> str:
    return str(event.delta.text) if event.type == "content_block_delta" else ""


def test_replicas_are_seen(warm: RayFleet) -> None:
    (row,) = warm.http.get("/api/ps").json()["models"]
    assert len({place["node"] for place in row["replicas"]}) == 2
    assert row["size"] == sum(place["size"] for place in row["replicas"])
    metrics = warm.http.get("/metrics").text.splitlines()
    for place in row["replicas"]:
        labels = f'node="{place["node"]}",replica="{place["replica"]}"'
        assert any(line.startswith("swell_slots{") and labels in _sorted_labels(line) for line in metrics)


def _sorted_labels(line: str) -> str:
    return ",".join(sorted(line.partition("{")[2].partition("}")[0].split(",")))


@pytest.mark.parametrize("_time", range(KILLS))
def test_all_goes_on_when_a_node_is_killed(warm: RayFleet, stories: list[str], _time: int) -> None:
    def kill() -> None:
        warm.kill_node(warm.busiest())

    assert tell_all(warm.url, BEGINNINGS, PIECES, kill) == stories
    warm.add_node()
    wait_until(lambda: warm.has_replicas(2), "there is another replica")


def test_all_goes_on_when_a_replica_freezes(warm: RayFleet, stories: list[str]) -> None:
    frozen: list[psutil.Process] = []

    def freeze() -> None:
        process = warm.replica_processes()[warm.busiest()]
        frozen.extend([process, *process.children(recursive=True)])
        for one in frozen:
            one.send_signal(signal.SIGSTOP)

    assert tell_all(warm.url, BEGINNINGS, PIECES, freeze) == stories
    for one in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):  # Serve may have replaced it
            one.send_signal(signal.SIGCONT)
    wait_until(lambda: warm.has_replicas(2), "there are two replicas")


def test_all_goes_on_while_all_is_replaced(warm: RayFleet, stories: list[str]) -> None:
    """A rolling update: replicas drain, and so does the front."""
    before = set(warm.places())

    def update() -> None:
        warm.environment["OLLAMA_LOAD_TIMEOUT"] = "4m"
        warm.deploy(min_replicas=2, max_replicas=2)

    assert tell_all(warm.url, BEGINNINGS, PIECES, update) == stories
    wait_until(lambda: warm.has_replicas(2), "there are two replicas")
    warm.warm()
    assert not before & set(warm.places())


def test_replicas_become_fewer_and_more_with_what_is_wanted(warm: RayFleet, stories: list[str]) -> None:
    """Sixteen streams are twice what the slots of one replica can serve."""
    warm.deploy(min_replicas=1, max_replicas=2, upscale_delay_s=1, downscale_delay_s=1)
    wait_until(lambda: warm.has_replicas(1), "one replica is enough")

    def is_more() -> bool:
        assert tell_all(warm.url, 2 * BEGINNINGS) == 2 * stories
        return warm.has_replicas(2)

    wait_until(is_more, "there is another replica", PATIENCE_S * 2)
    warm.deploy(min_replicas=2, max_replicas=2)
    wait_until(lambda: warm.has_replicas(2), "there are two replicas")


def test_a_front_that_dies_takes_only_its_own_answers(warm: RayFleet, stories: list[str]) -> None:
    replicas = set(warm.places())
    process = warm.front_process()

    def kill() -> None:
        process.kill()

    with pytest.raises(httpx.TransportError):
        tell_all(warm.url, BEGINNINGS, PIECES, kill)
    wait_until(lambda: warm.has_replicas(2), "there is another front")
    assert set(warm.places()) == replicas
    wait_until(lambda: sum(warm.busy().values()) == 0, "nothing of the lost answers goes on")
    assert tell_all(warm.url, BEGINNINGS) == stories
