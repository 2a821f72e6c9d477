import json
import re
from typing import Any

import pytest
from tests.cli.wire import FAILED, LOADED, VERBOSE, said, steps

from swell.cli import usage
from swell.cli.chat import converse
from swell.cli.client import Client
from swell.cli.commands import obey
from swell.cli.conversation import ChatSession
from swell.cli.errors import RefusedError
from swell.cli.keyboard import Keyboard, LineDropped
from swell.cli.run import RunOptions
from swell.host import parse_host

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Captured = pytest.CaptureFixture[str]

HI = (200, said("Hi"))


@pytest.fixture(autouse=True)
def model(answers: Answers) -> None:
    """A model that can be loaded, and says hi."""
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = HI


class Typist(Keyboard):
    """Types `keys`, of which exceptions stand for their keys, and then Ctrl-D. `prompts` is what it was asked with."""

    def __init__(self, *keys: str | type[BaseException]) -> None:
        super().__init__()
        self._keys = iter((*keys, EOFError))
        self.prompts: list[str] = []

    def read_line(self, prompt: str) -> str:
        self.prompts.append(prompt)
        key = next(self._keys)
        if isinstance(key, str):
            return key
        raise key


def converse_with(address: str, *typed: str | type[BaseException], run: RunOptions | None = None) -> Typist:
    """Hold a conversation in which `typed` is typed."""
    typist = Typist(*typed)
    with Client(parse_host(address)) as client:
        converse(client, run or RunOptions("m"), typist)
    return typist


def chats(asked: Asked) -> list[dict[str, Any]]:
    """The bodies of the turns."""
    return [body for key, body in asked if key == "POST /api/chat"]


def said_by_user(body: dict[str, Any]) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "user"]


def test_a_conversation_keeps_its_history(address: str, answers: Answers, asked: Asked, capsys: Captured) -> None:
    answers["POST /api/chat"] = (200, said("I'm", " fine"))
    converse_with(
        address, "How are you?", "", KeyboardInterrupt, "And now?", "/clear", "/nope x", "Hi", "/bye", "never"
    )
    first = {"role": "user", "content": "How are you?"}
    answer = {"role": "assistant", "content": "I'm fine"}
    assert [body.get("messages") for _, body in asked] == [
        None,
        [first],
        [first, answer, {"role": "user", "content": "And now?"}],
        [{"role": "user", "content": "Hi"}],
    ]
    assert capsys.readouterr().out == (
        "I'm fine\n\n"
        "\nUse Ctrl + d or /bye to exit.\n"
        "I'm fine\n\n"
        "Cleared session context\n"
        "Unknown command '/nope'. Type /? for help\n"
        "I'm fine\n\n"
    )


def test_a_conversation_is_told_to_think(address: str, answers: Answers, asked: Asked, capsys: Captured) -> None:
    thought = '{"message":{"role":"assistant","content":"","thinking":"Hm\\n"},"done":false}\n'
    answers["POST /api/chat"] = (200, thought + said("Hi"))
    converse_with(
        address, "a", "/set think", "b", "/set think low", "c", "/set think hard", "/set nothink", "d", "/set x"
    )
    assert [body.get("think") for _, body in asked] == [None, None, True, "low", False]
    assert asked[2][1]["messages"][1] == {"role": "assistant", "content": "Hi", "thinking": "Hm\n"}
    out, err = capsys.readouterr()
    turn = "Thinking...\nHm\n...done thinking.\n\nHi\n\n"
    think, nothink = "Set 'think' mode.\n", "Set 'nothink' mode.\n"
    unknown = "Unknown command '/set x'. Type /? for help\n\n"
    assert out == turn + think + turn + think + turn + nothink + turn + unknown
    assert err.startswith('Error: invalid think value: "hard"')


def test_what_came_of_a_broken_answer_is_kept(address: str, answers: Answers, asked: Asked, capsys: Captured) -> None:
    answers["POST /api/chat"] = (200, said("Hel").splitlines()[0] + "\n" + FAILED)
    converse_with(address, "one", "two")
    assert [message["content"] for message in asked[2][1]["messages"]] == ["one", "Hel", "two"]
    assert capsys.readouterr().err == "Error: out of memory\n\n" * 2


def test_a_refused_turn_is_forgotten(address: str, answers: Answers, asked: Asked, capsys: Captured) -> None:
    answers["POST /api/chat"] = (400, '{"error":"the prompt is longer than the context"}')
    converse_with(address, "one", "two")
    assert [body["messages"] for _, body in asked[1:]] == [
        [{"role": "user", "content": "one"}],
        [{"role": "user", "content": "two"}],
    ]
    assert capsys.readouterr().err == "Error: 400 Bad Request: the prompt is longer than the context\n\n" * 2


def test_a_message_of_several_lines(address: str, asked: Asked, capsys: Captured) -> None:
    typist = converse_with(
        address,
        *('"""one', "  two", '', 'three"""'),
        '"""alone"""',
        *('"""', "body", '"""'),
        *('"""dropped', LineDropped),
        *('"""dropped', KeyboardInterrupt),
        '""""""',
        "  kept as it is",
    )  # fmt: skip
    assert said_by_user(chats(asked)[-1]) == ["one\n  two\n\nthree", "alone", "\nbody\n", "  kept as it is"]
    first, more = ">>> ", "... "
    assert typist.prompts == [
        first,
        more,
        more,
        more,
        first,
        first,
        more,
        more,
        *[first, more] * 2,
        first,
        first,
        first,
    ]
    assert "\n\nUse Ctrl + d or /bye to exit.\n" in capsys.readouterr().out


def test_a_conversation_that_ends_within_a_message(address: str, asked: Asked) -> None:
    converse_with(address, '"""one', "two")
    assert chats(asked) == []


def test_what_is_set_is_asked_for(address: str, asked: Asked, capsys: Captured) -> None:
    converse_with(
        address,
        *("/set parameter temperature 0.5", "/set parameter num_ctx 4096", "/set parameter stop END STOP", "a"),
        *("/set format json", "/set parameter temperature 1", "b", "/set noformat", "/set format yaml", "c"),
        run=RunOptions("m", format={"type": "object"}),
    )
    options = {"temperature": 0.5, "num_ctx": 4096, "stop": ["END", "STOP"]}
    first, second, third = chats(asked)
    assert (first["options"], first["format"]) == (options, {"type": "object"})
    assert (second["options"], second["format"]) == ({**options, "temperature": 1.0}, "json")
    assert "format" not in third
    assert capsys.readouterr().out.replace("Hi\n\n", "") == (
        "Set parameter 'temperature' to '0.5'\n"
        "Set parameter 'num_ctx' to '4096'\n"
        "Set parameter 'stop' to 'END, STOP'\n"
        "Set format to 'json' mode.\n"
        "Set parameter 'temperature' to '1'\n"
        "Disabled format.\n"
        "Invalid or missing format. For 'json' mode use '/set format json'\n\n"
    )


def test_parameters_that_make_no_sense(address: str, asked: Asked, capsys: Captured) -> None:
    converse_with(address, "/set parameter tempo 1", "/set parameter seed one", "/set parameter seed", "a")
    assert "options" not in chats(asked)[0]
    assert capsys.readouterr().out == (
        "Couldn't set parameter: \"unknown parameter 'tempo'\"\n"
        'Couldn\'t set parameter: "invalid int value [one]"\n'
        f"{usage.PARAMETERS}\nHi\n\n\n"
    )


def test_how_answers_are_shown(address: str, capsys: Captured) -> None:
    converse_with(address, "a", "/set verbose", "b", "/set quiet", "c", "/set nowordwrap", "/set wordwrap")
    out, err = capsys.readouterr()
    modes = [f"Set '{mode}' mode.\n" for mode in ("verbose", "quiet", "nowordwrap", "wordwrap")]
    assert out == "Hi\n\n" + modes[0] + "Hi\n\n" + modes[1] + "Hi\n\n" + modes[2] + modes[3] + "\n"
    assert err == VERBOSE


def test_the_system_message_stays(address: str, asked: Asked, capsys: Captured) -> None:
    converse_with(
        address,
        *("/set system You are  a pirate.", '/set system """You are', 'a cook."""', "a", "/set system Be brief.", "b"),
        *("/clear", "c", "/load other", "d", "/show system"),
    )
    cook, brief = ({"role": "system", "content": text} for text in ("You are\na cook.", "Be brief."))
    hi = {"role": "assistant", "content": "Hi"}
    a, b, c, d = ({"role": "user", "content": text} for text in "abcd")
    assert [body["messages"] for body in chats(asked)] == [[cook, a], [cook, a, hi, brief, b], [brief, c], [brief, d]]
    assert [body["model"] for body in chats(asked)] == ["m", "m", "m", "other"]
    out = capsys.readouterr().out
    assert out.count("Set system message.\n") == 3
    assert "Loading model 'other'\n" in out


def test_a_model_that_can_not_be_loaded_changes_nothing(address: str, answers: Answers, capsys: Captured) -> None:
    answers["POST /api/generate"] = (404, '{"error":"model \'x\' not found"}')
    with Client(parse_host(address)) as client:
        conversation = ChatSession(client, Typist(), RunOptions("m"))
        conversation.turn("a")
        obey("/load x", conversation)
        answers["POST /api/generate"] = (400, '{"error":"out of order"}')
        with pytest.raises(RefusedError, match="out of order"):
            obey("/load x", conversation)
    assert conversation.run.model == "m"
    assert [message.content for message in conversation.messages] == ["a", "Hi"]
    assert "Loading model 'x'\nCouldn't find model 'x'\n" in capsys.readouterr().out


def test_a_conversation_is_saved(address: str, answers: Answers, asked: Asked, capsys: Captured) -> None:
    """Of what it was told to be, only the latest."""
    answers["POST /api/create"] = (200, steps("writing manifest", "success"))
    converse_with(
        address,
        *(
            "/save empty",
            "/set system A",
            "a",
            "/set system B",
            "b",
            "/set parameter top_k 3",
            "/save me/mine",
            "/save",
        ),
    )
    bodies = [body for key, body in asked if key == "POST /api/create"]
    hi = {"role": "assistant", "content": "Hi"}
    assert bodies == [
        {"model": "empty", "from": "m"},
        {
            "model": "me/mine",
            "from": "m",
            "system": "B",
            "parameters": {"top_k": 3},
            "messages": [{"role": "user", "content": "a"}, hi, {"role": "user", "content": "b"}, hi],
        },
    ]
    out = capsys.readouterr().out
    assert "Created new model 'empty'\n" in out
    assert out.endswith("Created new model 'me/mine'\nUsage:\n  /save <modelname>\n\n")


@pytest.mark.parametrize(
    "answer", [(400, '{"error":"invalid model name"}'), (200, steps("parsing GGUF", {"error": "invalid model name"}))]
)
def test_what_can_not_be_saved(address: str, answers: Answers, capsys: Captured, answer: tuple[int, str]) -> None:
    answers["POST /api/create"] = answer
    converse_with(address, "/save a:b:c", "still here")
    shown = capsys.readouterr()
    assert "invalid model name" in shown.err
    assert shown.out == "Hi\n\n\n"


SHOWN = {
    "license": "MIT",
    "modelfile": "FROM m",
    "parameters": 'stop    "a"\nseed    1',
    "template": "{{ .Prompt }}",
    "system": "You are a cook.",
    "details": {"family": "llama"},
    "model_info": {},
}


def test_what_is_known_of_the_model(address: str, answers: Answers, asked: Asked, capsys: Captured) -> None:
    answers["POST /api/show"] = (200, json.dumps(SHOWN))
    topics = ("info", "license", "modelfile", "template", "system", "parameters", "nothing")
    converse_with(address, "/set parameter stop x y", *(f"/show {topic}" for topic in topics))
    info, _, rest = capsys.readouterr().out.partition("MIT    \n\n")
    assert "  Model\n    architecture    llama    \n\n" in info
    assert rest == (
        "MIT\nFROM m\n{{ .Prompt }}\nYou are a cook.\n\n"
        'Model defined parameters:\n  stop    "a"\n  seed    1\n\n'
        "User defined parameters:\n  stop                           [x y]\n\n"
        "Unknown command '/show nothing'. Type /? for help\n\n"
    )
    bodies = [body for key, body in asked if key == "POST /api/show"]
    assert [body.get("options") for body in bodies] == [{"stop": ["x", "y"]}] * 5 + [None]


def test_what_is_not_known_of_the_model(address: str, answers: Answers, capsys: Captured) -> None:
    answers["POST /api/show"] = (200, '{"model_info":{}}')
    converse_with(address, *(f"/show {topic}" for topic in ("license", "template", "system", "parameters")))
    assert capsys.readouterr().out == (
        "No license was specified for this model.\n"
        "No prompt template was specified for this model.\n"
        "No system message was specified for this model.\n"
        "Model defined parameters:\n  No additional parameters were specified for this model.\n\n\n"
    )


def test_the_models_there_are(address: str, answers: Answers, capsys: Captured) -> None:
    answers["GET /api/tags"] = (200, '{"models":[]}')
    converse_with(address, "/list", "/load", "/load a b")
    assert capsys.readouterr().out.split("\n", 1) == [
        "NAME    ID    SIZE    MODIFIED ",
        "Usage:\n  /load <modelname>\n" * 2 + "\n",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/?", usage.OVERVIEW),
        ("/help", usage.OVERVIEW),
        ("/? set", usage.SET),
        ("/help /show", usage.SHOW),
        ("/? shortcuts", usage.SHORTCUTS),
        ("/set", usage.SET),
        ("/set system", usage.SET),
        ("/set parameter num_ctx", usage.PARAMETERS),
        ("/show", usage.SHOW),
    ],
)
def test_help(address: str, capsys: Captured, line: str, text: str) -> None:
    converse_with(address, line)
    assert capsys.readouterr().out == f"{text}\n\n"


def test_help_names_what_there_is(address: str, answers: Answers, capsys: Captured) -> None:
    answers["POST /api/show"] = (200, json.dumps(SHOWN))
    answers["GET /api/tags"] = (200, '{"models":[]}')
    texts = [usage.OVERVIEW, usage.SET, usage.SHOW, usage.PARAMETERS]
    lines = [line for text in texts for line in re.findall(r"^  (/[a-z?]+(?: [a-z_]+)*)", text, re.MULTILINE)]
    assert len(lines) > 25
    converse_with(address, *(f"{line} 1" for line in lines if line not in ("/set", "/show", "/bye")))
    assert "Unknown command" not in capsys.readouterr().out
