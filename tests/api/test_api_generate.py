"""/api/generate: the order of its checks, its prompts and its answers."""

from typing import Any

import pytest

from swell.errors import DecodeError, RunnerLostError, RunnerStartError, UnreadError
from swell.protocol.messages import FinishReason

PATH = "/api/generate"
MODEL = "tiny"


GENERATED = chr(7)
"""What stands for each token that the scripted runner generates."""


def _text(tokens: list[int]) -> str:
    """What the scripted tokenizer made tokens of; BOS is shown as ^."""
    return "".join("^" if token == 1 else chr(token) for token in tokens)


def test_a_stream(server: Any) -> None:
    first, second, last = server.lines(PATH, model="Tiny", prompt="Hi")

    assert list(first) == ["model", "created_at", "response", "done"]
    assert (first["model"], first["response"], first["done"]) == ("Tiny", "Hel", False)
    assert second["response"] == "lo"
    assert list(last) == [
        *("model", "created_at", "response", "done", "done_reason", "context"),
        *(
            "total_duration",
            "load_duration",
            "prompt_eval_count",
            "prompt_eval_duration",
            "eval_count",
            "eval_duration",
        ),
    ]
    assert (last["response"], last["done"], last["done_reason"]) == ("", True, "stop")
    assert (last["prompt_eval_count"], last["prompt_eval_duration"]) == (20, 5)
    assert (last["eval_count"], last["eval_duration"]) == (3, 6)  # the token that ends the text counts
    assert last["total_duration"] > last["load_duration"] > 0


def test_one_object(server: Any) -> None:
    response = server.post(PATH, model=MODEL, prompt="Hi", stream=False)

    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (response.json()["response"], response.json()["done"]) == ("Hello", True)


def test_the_end_of_the_window(server: Any) -> None:
    server.runner.reason = FinishReason.LENGTH

    assert server.post(PATH, model=MODEL, prompt="Hi", stream=False).json()["done_reason"] == "length"


def test_nothing_generated(server: Any) -> None:
    server.runner.script = [""]

    assert [line["done"] for line in server.lines(PATH, model=MODEL, prompt="Hi")] == [True]


def test_the_prompt_is_rendered_with_one_bos(server: Any) -> None:
    server.post(PATH, model=MODEL, prompt="Hi", system="Be kind.")

    assert _text(server.runner.prompts[0]) == "^<system>Be kind.<user>Hi<assistant>"


def test_a_raw_prompt_goes_in_as_it_is(server: Any) -> None:
    last = server.lines(PATH, model=MODEL, prompt="<user>Hi", raw=True)[-1]

    assert _text(server.runner.prompts[0]) == "^<user>Hi"
    assert "context" not in last


def test_context_holds_everything_and_can_be_sent_back(server: Any) -> None:
    context = server.lines(PATH, model=MODEL, prompt="Hi")[-1]["context"]
    assert _text(context) == "<user>Hi<assistant>" + GENERATED * 2

    again = server.lines(PATH, model=MODEL, prompt="Why", context=context)[-1]["context"]
    assert _text(server.runner.prompts[1]) == "^" + _text(context) + "<user>Why<assistant>"
    assert _text(again) == _text(context) + "<user>Why<assistant>" + GENERATED * 2


def test_context_ends_before_a_stop_string(server: Any) -> None:
    server.runner.script = ["Hel", "lo", " wo", "rld"]
    reply = server.post(PATH, model=MODEL, prompt="Hi", stream=False, options={"stop": ["lo wo"]}).json()

    assert reply["response"] == "Hel"
    assert _text(reply["context"]) == "<user>Hi<assistant>" + GENERATED


def test_context_is_whole_though_the_prompt_was_cut(server: Any) -> None:
    server.with_window(60)
    context = server.lines(PATH, model=MODEL, prompt="a" * 80)[-1]["context"]

    assert len(server.runner.prompts[0]) < 60
    assert _text(context) == f"<user>{'a' * 80}<assistant>" + GENERATED * 2


def test_one_lease_is_enough(server: Any) -> None:
    server.post(PATH, model=MODEL, prompt="Hi")
    assert [call[0] for call in server.scheduler.calls].count("lease") == 1


def test_context_that_begins_with_bos(server: Any) -> None:
    server.post(PATH, model=MODEL, prompt="Hi", context=[1, ord("x")])

    assert _text(server.runner.prompts[0]) == "^x<user>Hi<assistant>"


def test_context_of_another_model(server: Any) -> None:
    for token in (300, -1):
        status, text = server.refused(PATH, model=MODEL, prompt="Hi", context=[token])
        assert (status, text) == (400, "context holds a number that is no token of this model")


def test_load(server: Any) -> None:
    response = server.post(PATH, model=MODEL, keep_alive="1h")

    assert response.headers["content-type"] == "application/json; charset=utf-8"
    reply = response.json()
    assert list(reply) == ["model", "created_at", "response", "done", "done_reason"]
    assert (reply["model"], reply["response"], reply["done"], reply["done_reason"]) == (MODEL, "", True, "load")
    assert server.scheduler.calls == [("lease", "tiny:latest", 3600.0)]


@pytest.mark.parametrize("model", ["tiny", "embed"])
@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
def test_unload(server: Any, model: str, keep_alive: object) -> None:
    reply = server.post(PATH, model=model, keep_alive=keep_alive, raw=True, template="x").json()

    assert (reply["done"], reply["done_reason"]) == (True, "unload")
    assert server.scheduler.calls == [("unload", f"{model}:latest")]


def test_keep_alive_0_with_a_prompt_answers(server: Any) -> None:
    assert server.post(PATH, model=MODEL, prompt="Hi", keep_alive=0, stream=False).json()["response"] == "Hello"
    assert server.scheduler.calls[0] == ("lease", "tiny:latest", 0.0)


BAD = {"model": "nope", "top_logprobs": 21, "keep_alive": "10", "think": "x"}
_NEXT_PROBLEM = {"raw": True, "system": "s", "think": True, "suffix": "s", "options": {"num_ctx": "x"}}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (BAD, 400, 'time: missing unit in duration "10"'),
        (BAD | {"keep_alive": 0}, 400,
         'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)'),
        (BAD | {"keep_alive": 0, "think": True}, 400, "top_logprobs must be between 0 and 20"),
        ({"model": ""}, 404, "model '' not found"),
        ({}, 404, "model '' not found"),
        ({"model": "a b", "prompt": "x"} | _NEXT_PROBLEM, 400, "invalid model name"),
        ({"model": "Nope", "prompt": "x"} | _NEXT_PROBLEM, 404, "model 'Nope' not found"),
        ({"prompt": "x"} | _NEXT_PROBLEM, 400, "raw mode does not support template, system, or context"),
        ({"raw": True, "context": [1]}, 400, "raw mode does not support template, system, or context"),
        ({"think": True, "suffix": "x"}, 400, '"tiny" does not support thinking'),
        ({"think": "low"}, 400, '"tiny" does not support thinking'),
        ({"model": "embed", "prompt": "x", "suffix": "x"}, 400, '"embed" does not support generate'),
        ({"suffix": "x", "template": "x"}, 400, "registry.ollama.ai/library/tiny:latest does not support insert"),
        ({"images": ["aGk="]}, 400, "registry.ollama.ai/library/tiny:latest does not support vision"),
        ({"template": "\n{{ frob .Messages }}", "_debug_render_only": True}, 400,
         "swell does not support rendering only (_debug_render_only)"),
        ({"format": "xml"}, 500, 'invalid format: "xml"; expected "json" or a valid JSON Schema object'),
        ({"_debug_render_only": True}, 400, "swell does not support rendering only (_debug_render_only)"),
        ({"options": {"num_ctx": "x"}}, 500, 'option "num_ctx" must be of type integer'),
    ],
)  # fmt: skip
def test_refusals(server: Any, body: dict[str, object], status: int, text: str) -> None:
    sent = body if not body or "model" in body else {"model": MODEL, **body}
    assert server.refused(PATH, **sent) == (status, text)
    assert server.scheduler.calls == []


def test_what_asks_for_nothing_special_is_fine(server: Any) -> None:
    body = {"think": False, "format": "", "suffix": "", "images": [], "logprobs": False, "options": {"stop": []}}

    assert server.post(PATH, model=MODEL, prompt="Hi", **body).status_code == 200


@pytest.mark.parametrize("schema", [{"type": "bogus"}, {"$ref": "#/nowhere"}])
def test_a_schema_that_no_output_can_follow_is_refused_before_anything_is_loaded(
    server: Any, schema: dict[str, object]
) -> None:
    status, text = server.refused(PATH, model=MODEL, prompt="Hi", format=schema)
    assert status == 400
    assert text.startswith("invalid format: no output can follow this JSON schema: ")
    assert server.scheduler.calls == []


@pytest.mark.parametrize("error", [RunnerStartError("no"), RunnerLostError(-9)])
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_before_the_first_line_has_a_status(server: Any, error: Exception, stream: bool) -> None:
    server.scheduler.error = error
    assert server.refused(PATH, model=MODEL, prompt="Hi", stream=stream) == (500, str(error))

    server.scheduler.error = None
    server.runner.script = [error]
    assert server.refused(PATH, model=MODEL, prompt="Hi", stream=stream) == (500, str(error))
    assert server.scheduler.leases == 0


def test_a_later_error_is_the_last_line(server: Any) -> None:
    error = DecodeError(-3, 1)
    server.runner.script = ["Hel", error, "lo"]

    lines = server.lines(PATH, model=MODEL, prompt="Hi")
    assert [line["response"] for line in lines] == ["Hel", ""]
    assert (lines[-1]["done"], lines[-1]["done_reason"], lines[-1]["eval_count"]) == (True, "error", 1)
    assert lines[-1]["error"] == f"{error} (after 1 tokens)"
    assert lines[-1]["resumed"] == ["go on in a new runner"]


def test_what_was_broken_off_goes_on(server: Any) -> None:
    """A slow client is no failure: it may happen often, and nothing is said of it."""
    server.runner.script = ["a", UnreadError(), "b", UnreadError(), "c", UnreadError(), "d"]

    lines = server.lines(PATH, model=MODEL, prompt="Hi")
    assert [line["response"] for line in lines] == ["a", "b", "c", "d", ""]
    assert (lines[-1]["done_reason"], lines[-1]["eval_count"], "resumed" in lines[-1]) == ("stop", 5, False)
    assert server.scheduler.leases == 0


def test_a_bug_is_answered_too(server: Any) -> None:
    server.runner.script = [ZeroDivisionError("oops")]

    assert server.refused(PATH, model=MODEL, prompt="Hi") == (500, "oops")


def test_a_long_prompt_loses_its_middle(server: Any) -> None:
    server.with_window(20)
    last = server.lines(PATH, model=MODEL, prompt="0123456789abcdefghij", raw=True, options={"num_keep": 2})[-1]

    # One more is kept for BOS: 20 - (20 - 3) // 2 = 12 tokens.
    assert _text(server.runner.prompts[0]) == "^01" + "bcdefghij"
    assert last["prompt_eval_count"] == 12


def test_a_request_has_its_own_window(server: Any) -> None:
    server.post(PATH, model=MODEL, prompt="x" * 500, raw=True, options={"num_ctx": 100})

    assert server.runner.windows == [100]
    assert len(server.runner.prompts[0]) < 100


@pytest.mark.parametrize("num_ctx", [0, 1, 4])
@pytest.mark.parametrize("num_keep", [-1, 0, 4, 1000])
def test_tiny_windows_work(server: Any, num_ctx: int, num_keep: int) -> None:
    options = {"num_ctx": num_ctx, "num_keep": num_keep}

    assert server.post(PATH, model=MODEL, prompt="x" * 50, options=options).status_code == 200
    assert 1 <= len(server.runner.prompts[0]) < server.runner.windows[0]


def test_a_long_prompt_that_may_not_be_cut(server: Any) -> None:
    server.with_window(20)

    status, text = server.refused(PATH, model=MODEL, prompt="x" * 50, truncate=False, shift=False)
    assert status == 400
    assert "exceeds the available context size" in text
    status, text = server.refused(PATH, model=MODEL, prompt="x" * 50, shift=False)
    assert status == 400
    assert text.startswith("the prompt is longer than the context length currently available to the model; shorten")
    assert text.endswith("(68 tokens exceed 20)")
    assert server.scheduler.leases == 0


def test_files_are_for_clients_on_this_machine(server: Any, tiny_gguf: object) -> None:
    path = str(tiny_gguf)

    assert server.post(PATH, model=path, prompt="Hi").status_code == 200
    server.client = ("::ffff:127.0.0.1", 5)
    assert server.post(PATH, model=path, prompt="Hi").status_code == 200
    for client in (("192.168.1.5", 5), ("testclient", 5)):
        server.client = client
        assert server.refused(PATH, model=path, prompt="Hi") == (404, f"model '{path}' not found")


def test_a_template_in_the_request(server: Any) -> None:
    go = "{{ if .System }}[{{ .System }}]{{ end }}Q: {{ .Prompt }}\nA: {{ .Response }}.\n"
    server.post(PATH, model=MODEL, prompt="Hi", system="Be kind.", template=go)
    server.post(PATH, model=MODEL, prompt="Hi", template=go)

    assert [_text(prompt) for prompt in server.runner.prompts] == [
        "^[Be kind.]Q: Hi\nA: ",
        "^Q: Hi\nA: ",
    ]


def test_a_gap_is_filled(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(tokens=["<|fim_middle|>"]))
    server.with_facts(middle_tokens=(11, 12, 13))
    reply = server.post(PATH, model=path, prompt="def f(", suffix="):", stream=False).json()

    assert server.runner.prompts == [[1, 11, *map(ord, "def f("), 12, *map(ord, "):"), 13]]
    assert reply["response"] == "Hello"
    assert "context" not in reply


def test_of_what_surrounds_a_gap_the_nearest_is_kept(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(tokens=["<|fim_middle|>"]))
    server.with_facts(middle_tokens=(11, 12, 13), context_max=32)
    body = {"model": path, "prompt": "p" * 30 + "PPPPPPPPP", "suffix": "SSS" + "s" * 30}
    response = server.post(PATH, **body)

    assert server.runner.prompts == [[1, 11, *map(ord, "PPPPPPPPP"), 12, *map(ord, "SSS"), 13]]
    assert response.headers["swell-dropped-tokens"] == "60"
    assert server.refused(PATH, **body, truncate=False)[0] == 400


def test_thoughts_are_told_from_the_response(server: Any, make_gguf: Any) -> None:
    path = str(make_gguf(template="{{ enable_thinking }}<think></think>{{ messages[-1].content }}"))
    server.runner.script = ["<thi", "nk>\nHm.</th", "ink>\n\nFo", "ur."]
    lines = server.lines(PATH, model=path, prompt="2+2?")

    assert [(line["response"], line.get("thinking")) for line in lines] == [
        ("", "Hm."),
        ("Fo", None),
        ("ur.", None),
        ("", None),
    ]
    assert list(lines[0]) == ["model", "created_at", "response", "thinking", "done"]
    assert _text(lines[-1]["context"]) == "True<think></think>2+2?" + GENERATED * 4

    whole = server.post(PATH, model=path, prompt="2+2?", stream=False, think=False).json()
    assert (whole["response"], "thinking" in whole) == ("Four.", False)


@pytest.mark.parametrize(("wanted", "given"), [(5, 5), (-1, 100), (2**40, 100)])
def test_repetitions_are_looked_for_in_no_more_than_the_window(server: Any, wanted: int, given: int) -> None:
    server.post(PATH, model=MODEL, prompt="Hi", options={"repeat_last_n": wanted, "num_ctx": 100})
    assert [sampling.repeat_last_n for sampling in server.runner.samplings] == [given]
