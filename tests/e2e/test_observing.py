"""Metrics, live views, the log and traces of a real server with the real model."""

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from tests.counting import counted
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import STORY, kill_runner
from tests.waiting import PATIENCE_S, wait_until

from swell import Server as Embedded
from swell.host import HostAddress
from swell.settings import Settings

CELL_BYTES = 23_040
SECRET = "MARIGOLD"
SMALL = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": "64", "OLLAMA_KV_CACHE_GROW": "64"}
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(server: Server) -> str:
    response = server.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return response.text


def values(server: Server) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(scrape(server))
        for sample in family.samples
    }


def total(found: Values, name: str, **labels: str) -> float:
    """The sum of all samples called `name` that have these labels."""
    return sum(
        value
        for (one, with_labels), value in found.items()
        if one == name and labels.items() <= dict(with_labels).items()
    )


@contextlib.contextmanager
def moving(server: Server, *names: str, **labels: str) -> Iterator[None]:
    """What is done inside changes each of the metrics called `names`."""
    before = values(server)
    yield

    unmoved: set[str] = set()

    def all_moved() -> bool:
        after = values(server)
        unmoved.clear()
        unmoved.update(name for name in names if total(after, name, **labels) == total(before, name, **labels))
        return not unmoved

    with contextlib.suppress(AssertionError):  # which could only name all of them
        wait_until(all_moved, "all move")
    assert unmoved == set()


@contextlib.contextmanager
def listening(server: Server) -> Iterator[list[tuple[str, Any]]]:
    """The live messages as they come."""
    told: list[tuple[str, Any]] = []
    started = threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"{server.url}/api/events", timeout=PATIENCE_S, trust_env=False) as response:
            assert response.headers["content-type"] == "text/event-stream"
            name = ""
            for line in response.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    told.append((name, json.loads(line.removeprefix("data: "))))
                    started.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield told
    finally:
        server.stop()  # which ends the stream
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def events(told: list[tuple[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [data for name, data in told if name == "event" and data["event"] == kind]


def test_each_metric_moves_by_what_it_measures(log: Path, model_path: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.gguf"
    twin.symlink_to(model_path)
    settings = {**SMALL, "SWELL_KV_BUDGET": str(400 * CELL_BYTES), "SWELL_KV_IDLE_SHRINK": "1s"}
    with running(log, settings) as server:
        with moving(
            server,
            *("swell_models_loaded", "swell_resident_bytes", "swell_weights_resident_bytes", "swell_other_bytes"),
            *("swell_kv_granted_bytes", "swell_slots", "swell_threads_allowed", "swell_window_ceiling_tokens"),
            *("swell_model_loads_total", "swell_model_load_seconds_count", "swell_window_granted_tokens"),
            "swell_window_initial_tokens",
        ):
            server.ask("/api/generate")
        server.generate("Hello", predict=2, options={"num_thread": 1})
        wait_until(lambda: total(values(server), "swell_threads") == 1, "one thread has computed")
        server.generate("Hello", predict=2, options={"num_thread": 2})
        wait_until(lambda: total(values(server), "swell_threads") == 2, "two threads have")
        with moving(
            server,
            *("swell_window_used_tokens", "swell_kv_resident_bytes", "swell_window_growths_total"),
            *("swell_window_stall_seconds_count", "swell_window_stall_seconds_sum"),
            *("swell_prompt_tokens_total", "swell_generated_tokens_total", "swell_requests_total"),
            *("swell_queue_seconds_count", "swell_first_token_seconds_count", "swell_token_interval_seconds_count"),
            *("swell_worst_token_interval_seconds_count", "swell_request_seconds_count"),
        ):
            server.generate(counted(1, 60), predict=8)
        with moving(server, "swell_cached_tokens_total"):
            server.generate(counted(1, 60), predict=8)
        shrinks = {"store": "reserved", "change": "shrink"}
        with (
            moving(server, "swell_window_shrinks_total", cause="its request has ended"),
            moving(server, "swell_window_stall_seconds_count", "swell_window_stall_seconds_sum", **shrinks),
        ):
            for _ in range(3):
                server.generate("Hello", predict=2)
        with _story(server):
            wait_until(lambda: _is_writing(values(server)), "an answer is in progress")
        with moving(server, "swell_recovery_steps_total", outcome="resumed"), _story(server) as lines:
            next(lines)
            kill_runner(server)
        assert total(values(server), "swell_model_unloads_total", cause="its process ended") == 1
        with moving(server, "swell_memory_reclaims_total"):
            server.generate(counted(1, 60), predict=2)
            server.generate(counted(1, 80), predict=2, model=str(twin))
        with moving(server, "swell_model_unloads_total", cause="asked for"):
            server.ask("/api/generate", keep_alive=0)
        wait_until(lambda: not total(values(server), "swell_window_used_tokens", model=MODEL), "its gauges are gone")


def _is_writing(found: Values) -> bool:
    """Whether one answer is in progress, in one slot, and gets on."""
    return (
        total(found, "swell_slots_busy") == total(found, "swell_turns_active") == 1
        and total(found, "swell_generated_tokens_per_second") > 0
    )


@contextlib.contextmanager
def _story(server: Server) -> Iterator[Iterator[str]]:
    """An answer in progress, read to its end afterwards."""
    body = {"model": MODEL, "prompt": STORY, "raw": True, "options": {"temperature": 0, "num_predict": 300}}
    with server.http.stream("POST", "/api/generate", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        yield lines
        for _ in lines:
            pass


def test_requests_that_wait_for_a_model_are_counted(log: Path, model_path: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.gguf"
    twin.symlink_to(model_path)
    with running(log, {"OLLAMA_MAX_LOADED_MODELS": "1"}) as server, _story(server):
        waiting = threading.Thread(target=server.generate, args=("Hi",), kwargs={"model": str(twin), "predict": 1})
        waiting.start()
        wait_until(lambda: total(values(server), "swell_queue_length") == 1, "somebody waits")
    waiting.join(PATIENCE_S)


def test_prometheus_accepts_what_a_server_says(server: Server) -> None:
    server.generate("Hello", predict=2)
    run = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(server).encode(), capture_output=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_servers_in_one_process_dont_mix(tmp_path: Path) -> None:
    settings = Settings(host=HostAddress("http", "127.0.0.1", 0), store_dir=tmp_path)
    with Embedded(settings) as one, Embedded(settings) as other:
        httpx.get(f"{one.url}/api/version", trust_env=False)
        found = [httpx.get(f"{each.url}/metrics", trust_env=False).text for each in (one, other)]
    expected = 'swell_requests_total{endpoint="/api/version",outcome="ok"} 1.0'
    assert [expected in text for text in found] == [True, False]


def test_a_view_sees_a_conversation_grow_and_fall(log: Path) -> None:
    with running(log, SMALL) as server, listening(server) as told:
        assert told[0][0] == "snapshot"
        server.generate(counted(1, 60), predict=8, options={"num_ctx": 512})
        wait_until(lambda: bool(events(told, "request_finished")), "it has ended")
        for _ in range(3):
            server.generate("Hello", predict=2)
        wait_until(lambda: bool(events(told, "window_shrunk")), "the window falls")
        grown = events(told, "window_grown")
        assert grown[0]["from_tokens"] == 64
        assert all(one["to_tokens"] > one["from_tokens"] for one in grown)
        assert all(one["stall_s"] > 0 and one["store"] == "reserved" for one in grown)
        assert [one["outcome"] for one in events(told, "load_ended")] == ["loaded"]
        kinds = [data["event"] for name, data in told if name == "event"]
        order = ["request_queued", "load_started", "load_ended", "request_started", "first_token", "request_finished"]
        assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
        first = events(told, "request_finished")[0]
        assert first["growths"] == len([one for one in grown if one["at_s"] < first["at_s"]]) > 0
        wait_until(lambda: any(name == "numbers" and data["models"] for name, data in told), "numbers come")
        with httpx.stream("GET", f"{server.url}/api/events", timeout=PATIENCE_S, trust_env=False) as late:
            lines = late.iter_lines()
            assert next(lines) == "event: snapshot"
            snapshot = json.loads(next(lines).removeprefix("data: "))
        assert [one for one in snapshot["events"] if one["event"] == "window_grown"] == grown
        assert max(model[2] for moment in snapshot["history"] for model in moment["models"]) > 64


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_request_is_one_line_of_the_log_and_nothing_private_is_in_it(log: Path, form: str) -> None:
    with running(log, {"SWELL_LOG_FORMAT": form}) as server:
        headers = {"X-Request-Id": "abc-1"}
        body = {"model": MODEL, "prompt": f"{SECRET} is", "stream": True, "options": {"num_predict": 5}}
        with server.http.stream("POST", "/api/generate", json=body, headers=headers) as response:
            text = "".join(json.loads(line)["response"] for line in response.iter_lines())
        assert response.headers["x-request-id"] == "abc-1"
        server.http.post("/api/chat", json={"model": SECRET})
    written = log.read_text()
    assert SECRET not in written
    assert len(text) < 8 or text not in written
    (line,) = [line for line in written.splitlines() if "abc-1" in line]
    if form == "text":
        assert re.search(r"INFO swell.requests: POST /api/generate 200 ok model=smollm2:135m prompt=\d+ ", line)
        return
    told = [json.loads(one) for one in written.splitlines() if one.startswith("{")]
    (request,) = [one for one in told if one.get("request") == "abc-1"]
    assert (request["model"], request["generated_tokens"], request["status"]) == (MODEL, 5, 200)
    assert 0 < request["first_token_s"] < request["total_s"]
    assert request["load_s"] > 0


@pytest.fixture
def collector() -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """The address of an OTLP collector, and the spans that it was sent."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, self.headers.get("content-encoding"), data))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    def spans() -> list[Any]:
        found = []
        for path, encoding, data in received:
            assert (path, encoding) == ("/v1/traces", None)
            for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
                names = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
                assert names == ["swell"]
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{receiver.server_address[1]}", spans
        receiver.shutdown()
        thread.join()


def test_a_request_is_a_trace_with_its_phases(log: Path, collector: tuple[str, Callable[[], list[Any]]]) -> None:
    address, spans = collector
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with running(log, {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}) as server:
        body = {"model": MODEL, "prompt": STORY, "raw": True, "options": {"temperature": 0, "num_predict": 60}}
        headers = {"traceparent": f"00-{trace}-{parent}-01"}
        with server.http.stream("POST", "/api/generate", json=body, headers=headers) as response:
            for number, _ in enumerate(response.iter_lines()):
                if number == 3:
                    kill_runner(server)
        server.http.get("/api/tags")
    found = spans()
    (root,) = [span for span in found if span.name == "POST /api/generate"]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (trace, parent)
    children = [span for span in found if span.parent_span_id == root.span_id]
    assert {span.name for span in children} == {"queue", "load", "prompt", "generate", "resume"}
    assert len(children) == len(found) - 1
    for span in children:
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano + 1_000_000
    attributes = {one.key: one.value for one in root.attributes}
    assert attributes["gen_ai.usage.output_tokens"].int_value == 60
    assert attributes["gen_ai.request.model"].string_value == MODEL


def test_a_collector_that_is_not_there_holds_up_nobody(log: Path) -> None:
    with running(log, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) as server:
        server.generate("Hello", predict=2)
