"""Models with a template in Go's language, and requests that bring one: prompts, answers, capabilities and errors."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.api.scripted import ScriptedScheduler, Server
from tests.gotemplate.chats import TEMPLATES
from tests.models.laid_out import add_model
from tests.tiny.header import write_gguf

from swell.models.catalog import Catalog
from swell.models.store import StoreModels
from swell.store.store import Store
from swell.template_preference import TemplatePreference

CHAT, GENERATE = "/api/chat", "/api/generate"
HI = {"role": "user", "content": "Hi"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
FULL_NAME = "registry.ollama.ai/library/tiny:latest"

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A server that knows `tiny`, with a template in Go's language, and in Jinja if there is one."""

    def start(
        go: str, jinja: str | None = None, preference: TemplatePreference = TemplatePreference.AUTO, **layers: str
    ) -> Server:
        folder = tmp_path / "store"
        weights = write_gguf(tmp_path / "tiny.gguf", template=jinja)
        add_model(folder, "registry.ollama.ai/library/tiny/latest", weights, template=go, **layers)
        return Server(Catalog([StoreModels(Store(folder), preference)]), ScriptedScheduler())

    return start


def prompt(server: Server) -> str:
    """The latest prompt; BOS is shown as ^."""
    return "".join("^" if token == 1 else chr(token) for token in server.runner.prompts[-1])


def capabilities(server: Server) -> list[str]:
    (listed,) = server.request("GET", "/api/tags").json()["models"]
    shown: list[str] = server.post("/api/show", model="tiny").json()["capabilities"]
    assert listed["capabilities"] == shown
    return shown


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("one_turn_all", ["completion"]),
        ("headers_with_tools", ["completion", "tools"]),
        ("im_start_with_thoughts", ["completion", "tools", "thinking"]),
        ("a_gap", ["completion", "insert"]),
        ("instructions_with_a_gap", ["completion", "insert"]),
        ("TypeScript_and_levels", ["completion", "tools"]),
    ],
)
def test_the_template_says_what_a_model_can_do(serve: Serve, template: str, expected: list[str]) -> None:
    assert capabilities(serve(TEMPLATES[template])) == expected


def test_a_template_over_messages(serve: Serve) -> None:
    server = serve(TEMPLATES["im_start_with_tools"], system="Be kind.")
    server.post(CHAT, model="tiny", messages=[HI, {"role": "assistant", "content": "Yes?"}, HI])
    system = "<|im_start|>system\nBe kind.<|im_end|>\n"
    hi = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert prompt(server) == f"^{system}{hi}Yes?<|im_end|>\n{hi}"


def test_a_template_of_one_turn(serve: Serve) -> None:
    server = serve(TEMPLATES["one_turn_with_a_system"])
    server.post(CHAT, model="tiny", messages=[HI, {"role": "assistant", "content": "Yes?"}, HI])
    assert prompt(server) == "^\nUSER: Hi\nASSISTANT: Yes?\nUSER: Hi\nASSISTANT: "
    server.post(GENERATE, model="tiny", prompt="Hi", system="S")
    assert prompt(server) == "^S\nUSER: Hi\nASSISTANT: "


def test_an_answer_that_is_begun_is_carried_on(serve: Serve) -> None:
    messages = [HI, {"role": "assistant", "content": "Well,"}]
    for template in ("im_start_with_tools", "one_turn_all"):
        server = serve(TEMPLATES[template])
        server.post(CHAT, model="tiny", messages=messages)
        assert prompt(server) == "^<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nWell,"


def test_results_of_tools_are_not_lost_where_a_template_knows_none(serve: Serve) -> None:
    server = serve(TEMPLATES["one_turn_with_a_system"])
    server.post(
        CHAT, model="tiny", messages=[HI, {"role": "assistant", "content": "?"}, {"role": "tool", "content": "42"}]
    )
    assert prompt(server) == "^\nUSER: Hi\nASSISTANT: ?\nUSER: 42\nASSISTANT: "


def test_a_call_and_its_result(serve: Serve) -> None:
    server = serve(TEMPLATES["im_start_with_thoughts"])
    server.runner.script = [
        "<think>Hm.</think>",
        "\n\n<tool_",
        'call>\n{"name": "weather", ',
        '"arguments": {"city": "Bern"}}\n</tool_call>',
    ]
    reply = server.post(CHAT, model="tiny", messages=[HI], tools=[WEATHER], stream=False).json()
    message = reply["message"]
    (call,) = message["tool_calls"]
    assert message["thinking"] == "Hm."
    assert (message["content"], call["function"]["name"]) == ("", "weather")
    assert call["function"]["arguments"] == {"city": "Bern"}
    assert json.dumps(PARAMETERS, separators=(",", ":")) in prompt(server)

    server.runner.script = ["It rains."]
    result = {"role": "tool", "content": "rain", "tool_name": "weather"}
    reply = server.post(CHAT, model="tiny", messages=[HI, message, result], tools=[WEATHER], stream=False).json()
    assert reply["message"]["content"] == "It rains."
    assert prompt(server).endswith(
        '<|im_start|>assistant\n<think>Hm.</think>\n<tool_call>\n{"name": "weather", "arguments": {"city":"Bern"}}\n'
        "</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nrain\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_calls_after_a_tag_that_nobody_knows(serve: Serve) -> None:
    calls = (
        "{{ if .ToolCalls }}@@ {{ range .ToolCalls }}{{ .Function.Name }} {{ .Function.Arguments }}{{ end }}{{ end }}"
    )
    server = serve("{{ .Tools }}{{ range .Messages }}{{ .Content }}" + calls + "{{ end }}")
    server.runner.script = ["Let me see. @", '@ weather {"ci', 'ty": "Bern"}']
    reply = server.post(CHAT, model="tiny", messages=[HI], tools=[WEATHER], stream=False).json()
    assert reply["message"]["content"] == "Let me see."
    assert reply["message"]["tool_calls"][0]["function"]["arguments"] == {"city": "Bern"}
    assert server.runner.asked[-1].visible == ("@@",)


@pytest.mark.parametrize(
    ("think", "ending"),
    [
        (None, "Hi /think<|im_end|>\n<|im_start|>assistant\n"),
        (True, "Hi /think<|im_end|>\n<|im_start|>assistant\n"),
        ("low", "Hi /think<|im_end|>\n<|im_start|>assistant\n"),
        (False, "Hi /no_think<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    ],
)
def test_thinking_reaches_the_template(serve: Serve, think: object, ending: str) -> None:
    server = serve(TEMPLATES["im_start_with_thoughts"])
    server.post(CHAT, model="tiny", messages=[HI], think=think)
    assert prompt(server).endswith(ending)


def test_a_model_that_can_not_think_is_told_nothing_of_it(serve: Serve) -> None:
    server = serve("{{ .IsThinkSet }}{{ .Think }}{{ .ThinkLevel }}{{ .Prompt }}")
    server.post(GENERATE, model="tiny", prompt="Hi")
    assert prompt(server) == "^falsefalseHi"
    assert server.refused(GENERATE, model="tiny", prompt="Hi", think=True) == (
        400,
        '"tiny" does not support thinking',
    )


def test_a_level_of_thinking(serve: Serve) -> None:
    level = "{{ range .Messages }}{{ if .Thinking }}<a>{{ .Thinking }}</a>{{ end }}{{ end }}{{ .ThinkLevel }}"
    server = serve(level)
    for think, shown in ((True, "medium"), (None, "medium"), ("max", "max"), (False, "")):
        server.post(CHAT, model="tiny", messages=[HI], think=think)
        assert prompt(server) == f"^{shown}"


def test_a_gap(serve: Serve) -> None:
    server = serve(TEMPLATES["a_gap"])
    reply = server.post(GENERATE, model="tiny", prompt="def f(", suffix="):", stream=False).json()
    assert prompt(server) == "^<PRE> def f( <SUF>): <MID>"
    assert (reply["response"], "context" in reply) == ("Hello", False)
    server.post(GENERATE, model="tiny", prompt="def f(")
    assert prompt(server) == "^def f("


def test_a_gap_that_does_not_fit(serve: Serve) -> None:
    server = serve(TEMPLATES["a_gap"])
    server.with_window(20)
    assert server.refused(GENERATE, model="tiny", prompt="a" * 30, suffix="b", truncate=False)[0] == 400
    server.post(GENERATE, model="tiny", prompt="a" * 30, suffix="b")
    assert len(server.runner.prompts[-1]) < 20


def test_a_request_brings_a_template(serve: Serve) -> None:
    server = serve(TEMPLATES["a_gap"], system="S", messages=json.dumps([HI]))
    template = "{{ range $i, $m := .Messages }}{{ $i }}{{ .Role }}={{ .Content }};{{ end }}{{ json .System }}"
    server.post(GENERATE, model="tiny", prompt="Yes", template=template)
    assert prompt(server) == '^0system=S;1user=Hi\n\nYes;"S"'
    server.post(GENERATE, model="tiny", prompt="Yes", template="{{ .Prompt }}|{{ .Suffix }}", suffix="!")
    assert prompt(server) == "^Yes|!"


@pytest.mark.parametrize(
    ("template", "status", "text"),
    [
        ("\n{{ frob }}", 500, "template error: line 2: there is no function 'frob'"),
        ("{{ if .Prompt }}", 500, "template error: line 1: the template ends inside of if"),
        ("{{", 500, "template error: line 1: an action has no end"),
        ("{% if messages %}{% endif %}", 500, "template error: line 1: it is in Jinja"),
        ("x" * 40_000, 500, "template error: line 1: it has 40000 characters"),
        ("{{ if 1 }}" * 60 + "{{ end }}" * 60, 500, "template error: line 1: there are more than 50 blocks"),
        ("\n{{ .Prompt.Name }}", 400, "template error: line 2: a string has no field Name"),
        ('{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}', 400, "template error: line 1: more than 100"),
        ('{{ range 9999 }}{{ printf "%99999d" 1 }}{{ end }}', 400, "template error: line 1: it writes more than"),
    ],
)
def test_a_template_that_fails(serve: Serve, template: str, status: int, text: str) -> None:
    server = serve(TEMPLATES["one_turn_all"])
    refusal = server.refused(GENERATE, model="tiny", prompt="Hi", template=template)
    assert (refusal[0], refusal[1][: len(text)]) == (status, text)


def test_a_model_whose_template_is_damaged(serve: Serve) -> None:
    server = serve("{{ frob }}")
    assert capabilities(server) == ["completion"]
    status, text = server.refused(CHAT, model="tiny", messages=[HI])
    assert (status, text.startswith("template error: line 1")) == (500, True)


JINJA = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("preference", "shown", "written"),
    [
        (TemplatePreference.AUTO, "{{ .System }}>{{ .Prompt }}", "^>Hi"),
        (TemplatePreference.GO, "{{ .System }}>{{ .Prompt }}", "^>Hi"),
        (TemplatePreference.JINJA, JINJA, "^<user>Hi"),
    ],
)
def test_what_is_shown_is_what_is_used(serve: Serve, preference: TemplatePreference, shown: str, written: str) -> None:
    server = serve("{{ .System }}>{{ .Prompt }}", JINJA, preference)
    assert server.post("/api/show", model="tiny").json()["template"] == shown
    server.post(CHAT, model="tiny", messages=[HI])
    assert prompt(server) == written


def test_what_can_do_more_is_used(serve: Serve) -> None:
    jinja = JINJA + "{{ tools }}{{ tool_calls }}'tool'<tool_call>"
    server = serve("{{ .System }}>{{ .Prompt }}", jinja)
    assert server.post("/api/show", model="tiny").json()["template"] == jinja
    assert capabilities(server) == ["completion", "tools"]


def test_without_any_template_the_prompt_is_shown(serve: Serve) -> None:
    assert serve("").post("/api/show", model="tiny").json()["template"] == "{{ .Prompt }}"


def test_tools_that_a_template_does_not_know(serve: Serve) -> None:
    server = serve(TEMPLATES["one_turn_all"])
    refused = server.refused(CHAT, model="tiny", messages=[HI], tools=[WEATHER])
    assert refused == (400, f"{FULL_NAME} does not support tools")
    assert server.refused(GENERATE, model="tiny", prompt="a", suffix="b") == (
        400,
        f"{FULL_NAME} does not support insert",
    )
