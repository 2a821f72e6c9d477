"""Requests that take long to begin: the others go on meanwhile."""

import json
import threading
from collections.abc import Iterator

import pytest
from tests.counting import expected
from tests.runner.harness import Harness

from swell.errors import InvalidRequestError, UnexpectedError
from swell.llama.grammar import USES_MAX, Grammar, GrammarCompiler
from swell.llama.model import LlamaModel
from swell.llama.sampler import Sampler
from swell.protocol.messages import Cancel, FinishReason
from swell.runner import preparing

PATIENCE_S = 60
SMALL = '{"type": "boolean"}'
LARGE = json.dumps({"enum": [f"value number {number}" for number in range(10_000)]})


@pytest.fixture
def harness(model: LlamaModel) -> Iterator[Harness]:
    made = Harness(model)
    yield made
    made.store.close()


class Compiler:
    """Compiles when it is allowed to; remembers what."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.compiled: list[str] = []
        self._compile = GrammarCompiler.compile
        patch.setattr(GrammarCompiler, "compile", lambda grammars, schema: self.compile(grammars, schema))

    def compile(self, grammars: GrammarCompiler, schema: str) -> Grammar:
        self.begun.set()
        assert self.go.wait(PATIENCE_S)
        self.compiled.append(schema)
        return self._compile(grammars, schema)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    made = Compiler(monkeypatch)
    yield made
    made.go.set()


def emitted(harness: Harness, request_id: int) -> int:
    return sum(event.id == request_id for step in harness.steps for event in step.emitted)


def test_a_stream_goes_on_while_a_schema_is_compiled(harness: Harness, compiler: Compiler) -> None:
    harness.submit(1, limit=80)
    harness.step(3)
    harness.submit(2, limit=5, schema=SMALL)
    before = emitted(harness, 1)
    harness.step(40)
    assert compiler.begun.wait(PATIENCE_S)
    assert emitted(harness, 1) == before + 40
    assert emitted(harness, 2) == 0
    compiler.go.set()
    harness.run()
    assert harness.text(1) == expected(40, len(harness.text(1)))
    assert harness.text(2) in ("true", "false")


def test_ten_thousand_values_beside_a_stream(harness: Harness) -> None:
    harness.submit(1, limit=100)
    harness.step(3)
    before = emitted(harness, 1)
    harness.submit(2, limit=20, schema=LARGE)
    harness.step()
    while harness.engine._preparer.is_busy:
        harness.step()
    assert emitted(harness, 1) >= before + 5
    harness.run()
    assert harness.text(1) == expected(40, len(harness.text(1)))
    assert json.loads(harness.text(2)) in json.loads(LARGE)["enum"]


def test_a_schema_is_compiled_once(harness: Harness, compiler: Compiler) -> None:
    compiler.go.set()
    for request_id in range(3):
        harness.submit(request_id, limit=5, schema=SMALL)
        harness.run()
    assert compiler.compiled == [SMALL]
    assert {harness.text(request_id) for request_id in range(3)} <= {"true", "false"}


def test_a_grammar_is_not_used_for_ever(harness: Harness, compiler: Compiler) -> None:
    compiler.go.set()
    for request_id in range(USES_MAX + 1):
        harness.submit(request_id, "x", limit=1, schema=SMALL)
        harness.run()
    assert compiler.compiled == [SMALL] * 2


def test_a_cancel_while_it_compiles_drops_the_request(harness: Harness, compiler: Compiler) -> None:
    harness.submit(1, limit=5, schema=SMALL)
    harness.submit(2, limit=5)
    harness.step()
    assert compiler.begun.wait(PATIENCE_S)
    harness.engine.submit(Cancel(1))
    harness.run()
    assert not harness.is_busy
    assert not harness.engine.is_computing  # nor does it look stuck
    compiler.go.set()
    harness.engine._preparer.close()
    harness.submit(3, limit=5)
    harness.run()
    assert harness.reasons() == {2: FinishReason.LENGTH, 3: FinishReason.LENGTH}
    assert harness.failures() == {}


def test_requests_that_were_cancelled_are_not_compiled(harness: Harness, compiler: Compiler) -> None:
    for request_id in range(8):
        harness.submit(request_id, limit=5, schema=json.dumps({"const": request_id}))
    harness.engine._take_work()
    for request_id in range(8):
        harness.engine.submit(Cancel(request_id))
    harness.step()
    compiler.go.set()
    harness.engine._preparer.close()
    assert len(compiler.compiled) <= 2  # as many as were at it
    assert not harness.is_busy


@pytest.mark.parametrize(
    ("error", "told"), [(InvalidRequestError("no"), InvalidRequestError), (KeyError("a bug"), UnexpectedError)]
)
def test_a_failure_is_the_requests_own(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, error: Exception, told: type[Exception]
) -> None:
    def fail(_grammars: GrammarCompiler, _schema: str) -> Grammar:
        raise error

    monkeypatch.setattr(GrammarCompiler, "compile", fail)
    harness.submit(1, limit=50)
    harness.step(3)
    harness.submit(2, schema=SMALL)
    harness.run()
    assert {request_id: type(one) for request_id, one in harness.failures().items()} == {2: told}
    assert harness.text(1) == expected(40, len(harness.text(1)))


def test_a_grammar_that_fails_on_the_way_ends_only_its_own_generation(harness: Harness) -> None:
    """With so many properties that may come next, llguidance gives up after the first token."""
    properties = {f"property {number}": {"type": "string"} for number in range(2000)}
    harness.submit(1, limit=50)
    harness.submit(2, limit=50, schema=json.dumps({"type": "object", "properties": properties}))
    harness.run()
    assert {request_id: type(one) for request_id, one in harness.failures().items()} == {2: InvalidRequestError}
    assert "2000" in str(harness.failures()[2])
    assert harness.reasons() == {1: FinishReason.LENGTH}
    assert harness.text(1) == expected(40, len(harness.text(1)))


def test_what_takes_long_to_count_is_counted_beside_a_stream(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Penalties over a long prompt, or an answer that goes on from what another runner gave."""
    threads = []
    observe = Sampler.observe

    def watched(sampler: Sampler, prompt: list[int], emitted: list[int]) -> None:
        threads.append(threading.current_thread())
        observe(sampler, prompt, emitted)

    monkeypatch.setattr(Sampler, "observe", watched)
    harness.submit(1, "word", limit=2)
    monkeypatch.setattr(preparing, "AT_ONCE_MAX", 60)
    harness.submit(2, "word " * 20, limit=70, emitted=[5] * 60)
    harness.step()
    harness.run()
    assert [thread is threading.main_thread() for thread in threads] == [True, False]
