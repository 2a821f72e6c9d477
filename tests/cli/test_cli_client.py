import pytest

from swell.cli.client import Client, lines
from swell.cli.connect import is_local
from swell.cli.errors import AnswerFailedError, BadReplyError, NoServerError, RefusedError, UsageError
from swell.cli.replies import Chunk, Running
from swell.host import HostAddress, parse_host

Answers = dict[str, tuple[int, str]]


def test_lines_split_at_newlines_only() -> None:
    chunks = [b'{"a":"x\xe2\x80', b'\xa8\x85y"}\n\n{"b"', b":1}\n", b"last"]
    assert list(lines(chunks)) == [b'{"a":"x\xe2\x80\xa8\x85y"}', b'{"b":1}', b"last"]


def test_stream_yields_lines_until_one_holds_an_error(address: str, answers: Answers) -> None:
    answers["POST /api/generate"] = (200, '{"response":"Hi\u2028"}\n{"error":"out of room"}\n{"response":"never"}\n')
    with Client(parse_host(address)) as client:
        stream = client.stream("/api/generate", {"model": "m"}, Chunk)
        assert next(stream).text == "Hi\u2028"
        with pytest.raises(AnswerFailedError, match="out of room"):
            next(stream)


def test_refusals_show_the_status_for_streams_only(address: str, answers: Answers) -> None:
    answers["POST /x"] = (404, '{"error":"model \'x\' not found"}')
    answers["GET /x"] = (405, "405 method not allowed")
    with Client(parse_host(address)) as client:
        with pytest.raises(RefusedError) as streamed:
            next(client.stream("/x", {}, Chunk))
        with pytest.raises(RefusedError) as whole:
            client.post("/x", {}, Chunk)
        with pytest.raises(RefusedError) as plain:
            client.get("/x", Chunk)
    assert str(streamed.value) == "404 Not Found: model 'x' not found"
    assert (str(whole.value), whole.value.status) == ("model 'x' not found", 404)
    assert str(plain.value) == "405 method not allowed"


def test_an_answer_of_another_shape_is_a_bad_reply(address: str, answers: Answers) -> None:
    answers["GET /api/ps"] = (200, '{"models":null}')
    with Client(parse_host(address)) as client, pytest.raises(BadReplyError):
        client.get("/api/ps", Running)


def test_nobody_listens() -> None:
    with Client(HostAddress("http", "127.0.0.1", 1)) as client, pytest.raises(NoServerError):
        client.heartbeat()


def test_an_impossible_address_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="is no address"):
        Client(HostAddress("http", "a b\x00", 1))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("", True),
        (":8080", True),
        ("localhost", True),
        ("127.0.0.2:1", True),
        ("0.0.0.0", True),
        ("[::1]:1", True),
        ("192.0.2.1", False),
        ("example.org", False),
    ],
)
def test_local_addresses(host: str, local: bool) -> None:
    assert is_local(parse_host(host)) is local
