"""Long conversations: nothing is forgotten before the ceiling, and nothing without being said."""

from pathlib import Path
from typing import Any

from tests.e2e.server import MODEL, Server, running

SENTENCE = "The lighthouse keeper climbed the stairs and lit the lamp, as on every evening of that long winter. "


def _history(turns: int) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": "Answer in one word."}]
    for number in range(turns):
        messages.append({"role": "user", "content": f"{number}. {SENTENCE * 4}"})
        messages.append({"role": "assistant", "content": "Yes."})
    return [*messages, {"role": "user", "content": "Who climbed the stairs?"}]


def _chat(server: Server, turns: int, *, stream: bool = False, **options: Any) -> Any:
    body = {"model": MODEL, "messages": _history(turns), "stream": stream}
    return server.http.post("/api/chat", json={**body, "options": {"num_predict": 2, **options}})


def test_a_long_chat_is_kept_whole(tmp_path: Path) -> None:
    """The initial grant is no limit: the window grows before anything is dropped."""
    slots = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": "256", "OLLAMA_KV_CACHE_GROW": "256"}
    with running(tmp_path / "log", slots) as server:
        for turns in (1, 4, 8):
            response = _chat(server, turns)
            assert "swell-dropped-messages" not in response.headers
        assert response.json()["prompt_eval_count"] > 2 * 256
        assert server.loaded()["context_allocated"] > 2 * 256
        assert "dropped the oldest" not in server.log.read_text()


def test_what_is_dropped_is_said(server: Server) -> None:
    server.ask("/api/generate")  # only loads
    for stream in (True, False):
        cut = server.loaded()["cut_tokens"]
        response = _chat(server, 6, stream=stream, num_ctx=256)
        assert response.status_code == 200
        assert 0 < int(response.headers["swell-dropped-messages"]) <= 12  # not the instructions, and not the question
        dropped = server.loaded()["cut_tokens"] - cut
        assert dropped == int(response.headers["swell-dropped-tokens"]) > 0
    assert server.log.read_text().count("dropped the oldest") >= 2


def test_dropped_tokens_are_said(server: Server) -> None:
    response = server.http.post(
        "/api/generate",
        json={"model": MODEL, "prompt": SENTENCE * 20, "raw": True, "stream": False,
              "options": {"num_ctx": 128, "num_predict": 1}},
    )  # fmt: skip
    dropped = int(response.headers["swell-dropped-tokens"])
    assert 0 < response.json()["prompt_eval_count"] < 128 < dropped
