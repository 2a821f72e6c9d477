"""LoRA adapters of models in a store, on the real model, through the real API."""

from collections.abc import Collection
from pathlib import Path

import pytest
from tests.e2e.server import Server, running
from tests.e2e.streams import STORY, answer, fresh, kill_runner, paced, rungs
from tests.models.laid_out import add_model
from tests.tiny.adapter import Tensors, write, write_adapter

from swell.turns.recovery.ladder import RecoveryStep

pytestmark = pytest.mark.slow

PARTS = ("attn_q", "ffn_down")
STRENGTH = 0.2
LIBRARY = "registry.ollama.ai/library"
ONE_SLOT = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": "256", "OLLAMA_KV_CACHE_GROW": "256"}
LONG = f"{STORY} lived by the sea. " * 14 + "In the year 1850 a ship"
"""Ends before the 256 cells do that there are at first, so that Copied moves while it goes on."""


@pytest.fixture(scope="module")
def adapters(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Files of adapters by the name of the model that has them."""
    folder = tmp_path_factory.mktemp("adapters")

    def make(name: str, strength: float, seed: int) -> Path:
        return write_adapter(folder / name, model_path, strength=strength, seed=seed, parts=PARTS)

    one, other, nothing = make("one", STRENGTH, 1), make("other", STRENGTH, 2), make("nothing", 0, 1)
    return {"plain": [], "tuned": [one], "twin": [one], "other": [other], "both": [one, other], "same": [nothing]}


@pytest.fixture(scope="module")
def store(model_path: Path, adapters: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a model of each of these names."""
    folder = tmp_path_factory.mktemp("store")
    for name, paths in adapters.items():
        add_model(folder, f"{LIBRARY}/{name}/latest", model_path, adapter=paths, system=f"Your name is {name}.")
    return folder


@pytest.fixture
def settings(store: Path) -> dict[str, str]:
    return {**ONE_SLOT, "OLLAMA_MODELS": str(store)}


def test_models_with_and_without_adapters_side_by_side(settings: dict[str, str], log: Path) -> None:
    with running(log, {**settings, "OLLAMA_MAX_LOADED_MODELS": "9"}) as server:
        texts = {name: story(server, name) for name in ("plain", "tuned", "other", "both", "same")}
        assert texts["same"] == texts["plain"]
        assert len(set(texts.values())) == 4
        assert story(server, "twin") == texts["tuned"]
        assert len(server.runners()) == 5  # the twin has the same weights and the same adapter
        assert {name: story(server, name) for name in texts} == texts
        rows = {row["name"]: row for row in server.http.get("/stats").json()["models"]}
        added = {name: rows[f"{name}:latest"]["stats"]["weights_bytes"] for name in ("plain", "tuned", "both")}
        assert 400_000 < added["tuned"] - added["plain"] == added["both"] - added["tuned"]
        assert all(row["stats"]["faults"] == [] for row in rows.values())


def story(server: Server, model: str) -> str:
    """What goes on from nothing that is cached: then the prompt is always computed in one batch."""
    server.generate("Forget it.", model=model, predict=1)
    text: str = server.generate(STORY, model=model, predict=40)["response"]
    return text


@pytest.mark.destructive
def test_every_store_writes_the_same_whatever_becomes_of_the_runner(settings: dict[str, str], log: Path) -> None:
    texts = set()
    for kind in ("reserved", "copied", "eager"):
        more = {"OLLAMA_CONTEXT_LENGTH": "512"} if kind == "eager" else {}
        with running(log, paced({**settings, **more, "SWELL_KV_STORE": kind})) as server:
            texts.add(whole(server))
            (row,) = server.http.get("/stats").json()["models"]
            assert row["stats"]["store"] == kind
            assert kind == "eager" or row["stats"]["context_initial"] < row["stats"]["context_used"]
            fresh(server)
            texts.add(whole(server, kills_at=(2, 9)))
            assert rungs(server)[RecoveryStep.RELOAD.value] == 2
    assert len(texts) == 1


def whole(server: Server, kills_at: Collection[int] = ()) -> str:
    """A long answer, whose runner is killed after some of its lines."""

    def after(line: int) -> None:
        if line in kills_at:
            kill_runner(server)

    return answer(server, "/api/generate", {"model": "tuned", "prompt": LONG, "raw": True}, after)


def test_the_next_runner_of_a_model_goes_on_with_its_cells(settings: dict[str, str], log: Path) -> None:
    with running(log, settings) as server:
        first = server.generate(STORY, model="tuned")["response"]
        turn = f"{STORY}{first} And then"
        server.generate(turn, model="tuned", options={"use_mmap": False})
        assert "took over" in log.read_text()
        assert cached_tokens(server) > 20
        handed_over = story_after(server, turn)
        kill_runner(server)
        assert story_after(server, turn) == handed_over


def story_after(server: Server, turn: str) -> str:
    text: str = server.generate(turn, model="tuned", options={"use_mmap": False})["response"]
    return text


def cached_tokens(server: Server) -> int:
    """How much of the latest prompt wasn't computed by the only runner."""
    (row,) = server.http.get("/stats").json()["models"]
    cached: int = row["stats"]["slots_detail"][0]["cached_tokens"]
    return cached


def test_conversations_in_files_are_for_the_model_with_that_adapter(
    settings: dict[str, str], log: Path, tmp_path: Path
) -> None:
    settings |= {"OLLAMA_MAX_LOADED_MODELS": "1", "SWELL_PREFIX_CACHE": str(tmp_path / "prefixes")}
    with running(log, settings) as server:
        found = []
        for name in ("plain", "tuned", "other", "plain", "tuned"):
            server.generate(LONG * 3, model=name)
            found.append(cached_tokens(server) > 400)
        assert found == [False, False, False, True, True]


@pytest.mark.parametrize("kind", ["another model's", "no adapter"])
def test_an_adapter_that_does_not_fit_is_an_error(
    settings: dict[str, str], model_path: Path, log: Path, tmp_path: Path, kind: str
) -> None:
    tensors: Tensors = {}
    path = write(tmp_path / "lora.gguf", "gemma3" if kind == "another model's" else "llama", tensors)
    add_model(tmp_path / "store", f"{LIBRARY}/bad/latest", model_path, adapter=path)
    with running(log, {**settings, "OLLAMA_MODELS": str(tmp_path / "store")}) as server:
        response = server.http.post("/api/generate", json={"model": "bad", "prompt": "x", "stream": False})
        assert response.status_code == 500
        assert "the adapter can't be applied" in response.json()["error"]
        assert [model["name"] for model in server.http.get("/api/tags").json()["models"]] == ["smollm2:135m"]
        assert server.runners() == []
