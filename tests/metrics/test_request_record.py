"""The record of a request: its name, and the numbers of its turns."""

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.metrics.events import (
    FirstToken,
    Phase,
    RecoveryEnded,
    RequestOutcome,
    RequestQueued,
    RequestStarted,
    ServerEvent,
    StepOutcome,
    TurnEnded,
)
from swell.metrics.observer import Metrics
from swell.metrics.request_record import RequestRecord, begin_request, current_request, request_id


class Runs:
    growths = 0


class Step(Enum):
    RELOAD = "reload"


class Why(Enum):
    LOST = "lost"


@given(st.text(max_size=200))
def test_a_client_may_call_its_request_anything_harmless(wanted: str) -> None:
    name = request_id(wanted)
    assert 0 < len(name) <= 128
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    if name != wanted:
        assert request_id(wanted) != name


@pytest.mark.parametrize("wanted", ["req-1", "a/b:c=d+e@f", "x" * 128, "00-4bf92f35-01"])
def test_names_that_are_kept(wanted: str) -> None:
    assert request_id(wanted) == wanted


@pytest.mark.parametrize("wanted", [None, "", "x" * 129, "a b", "a\n", "é", '"'])
def test_names_that_are_replaced(wanted: str | None) -> None:
    assert request_id(wanted).startswith("req_")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, RequestOutcome.OK),
        (204, RequestOutcome.OK),
        (404, RequestOutcome.CLIENT_ERROR),
        (503, RequestOutcome.SERVER_ERROR),
        (0, RequestOutcome.CLIENT_LEFT),
    ],
)
def test_the_outcome_is_that_of_the_status_unless_more_is_known(status: int, outcome: RequestOutcome) -> None:
    record = RequestRecord("a")
    record.status = status
    assert record.finished().outcome is outcome
    record.leave()
    assert record.finished().outcome is RequestOutcome.CLIENT_LEFT
    record.interrupt("RunnerLostError")
    assert (record.finished().outcome, record.finished().error) == (RequestOutcome.SERVER_ERROR, "RunnerLostError")


def test_a_request_is_found_where_it_is_answered() -> None:
    record = RequestRecord("mine")
    begin_request(record)
    assert current_request() is record


def test_a_turn_is_told_step_by_step() -> None:
    metrics, told = Metrics(), list[ServerEvent]()
    metrics.watch(told.append)
    record = RequestRecord("a", "POST")
    turn, runs, tokens = record.begin_turn(metrics, "m", "key"), Runs(), [1]
    turn.begin()
    assert metrics.turns == {turn}
    turn.leased(record.started_ns, (0, 0))
    turn.sent(tokens, runs)
    turn.prompt_read(30, 10, 5)
    tokens += [2, 3]
    runs.growths = 2
    assert (turn.generated_tokens, turn.growths) == (3, 2)
    turn.recovers(Step.RELOAD, Why.LOST)
    turn.recovers(Step.RELOAD, Why.LOST)
    turn.recovered(StepOutcome.RESUMED)
    turn.finished(None, 34)
    turn.end(4)
    tokens.clear()

    assert [type(event) for event in told if not isinstance(event, RecoveryEnded)][:3] == [
        RequestQueued,
        RequestStarted,
        FirstToken,
    ]
    outcomes = [event.outcome for event in told if isinstance(event, RecoveryEnded)]
    assert outcomes == [StepOutcome.FAILED, StepOutcome.RESUMED]
    assert isinstance(told[-1], TurnEnded)
    assert (told[-1].model_key, told[-1].size_tokens) == ("key", 34)
    assert metrics.turns == set()
    assert metrics.recovery_steps == {"reload": 2}
    numbers = record.finished()
    assert (numbers.prompt_tokens, numbers.cached_tokens, numbers.generated_tokens, numbers.growths) == (30, 10, 4, 2)
    assert numbers.recovery_steps == ("reload", "reload")
    kinds = [span.phase for span in numbers.phases]
    assert kinds.count(Phase.RESUME) == 2
    assert kinds.count(Phase.GENERATE) == 2
    assert all(span.after_s >= 0 and span.duration_s >= 0 for span in numbers.phases if span.phase is not Phase.QUEUE)


@given(asked=st.integers(0, 100), began=st.integers(0, 100), took=st.integers(0, 100))
def test_waiting_is_divided_between_the_queue_and_the_load(asked: int, began: int, took: int) -> None:
    """A load that had begun before, or was over, counts as far as it was waited for."""
    turn = RequestRecord("a").begin_turn(Metrics(), "m")
    turn.leased(asked, (began, began + took))
    waited = max(min(began + took - asked, took), 0)
    assert round(turn.seconds(Phase.LOAD) * 1e9) == waited
    queue_ns = round(turn.seconds(Phase.QUEUE) * 1e9)
    assert queue_ns == max(began - asked, 0) if waited else queue_ns > 100


def test_a_watcher_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    metrics, told = Metrics(), list[ServerEvent]()

    def fail(_: ServerEvent) -> None:
        raise ValueError("no")

    metrics.watch(fail)
    metrics.watch(told.append)
    event = RequestRecord("a").finished()
    metrics.report(event)
    assert told == [event]
    assert "could not be noted" in caplog.text
