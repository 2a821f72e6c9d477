"""Plain models of pydantic and zod, through the helpers of the official clients that make objects of answers."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import anthropic
import jsonschema
import ollama
import openai
import pytest
from pydantic import BaseModel, Field
from tests.e2e.server import MODEL, Server, running
from tests.e2e.templates import CALLS, write_with_template


class Line(BaseModel):
    article: str = Field(max_length=40)
    price: Decimal


class Order(BaseModel):
    """With all that has made servers refuse a schema, or a model go on without end."""

    number: int = Field(ge=0, le=999)
    email: Annotated[str, Field(max_length=30, json_schema_extra={"format": "email"})]
    placed: datetime
    first: Line
    second: Line | None = None
    note: Annotated[str, Field(max_length=20)] | None = None


ZOD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "email": {
            "type": "string",
            "maxLength": 30,
            "format": "email",
            "pattern": r"^(?!\.)(?!.*\.\.)([\w'+\-\.]*)[\w+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
        },
        "wait": {
            "type": "string",
            "maxLength": 12,
            "format": "duration",
            "pattern": r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$",
        },
        "size": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
        "note": {"anyOf": [{"type": "string", "maxLength": 12}, {"type": "null"}]},
    },
    "required": ["email", "wait", "size"],
    "additionalProperties": False,
}
"""What zod makes of its own kinds of text (of e-mail addresses nearly)."""

ASK: Any = [{"role": "user", "content": "Invent an order of two books as JSON, of today, with an e-mail address."}]
TOKENS = 400


class Clients:
    """All three, for one server, and the real model with a template that knows tools."""

    def __init__(self, url: str, stack: ExitStack, calling: str) -> None:
        self.calling = calling
        self.openai = stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0))
        self.anthropic = stack.enter_context(anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0))
        self.ollama = stack.enter_context(ollama.Client(host=url))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Not the one all tests share, because more than one model is loaded here."""
    with running(tmp_path_factory.mktemp("structured server") / "log") as started:
        yield started


@pytest.fixture
def clients(server: Server, model_path: Path, tmp_path: Path) -> Iterator[Clients]:
    calling = write_with_template(model_path, tmp_path / "calling.gguf", CALLS)
    with ExitStack() as stack:
        yield Clients(server.url, stack, calling)


def chat_parse(clients: Clients) -> object:
    answer = clients.openai.chat.completions.parse(
        model=MODEL, messages=ASK, response_format=Order, temperature=0, max_tokens=TOKENS
    )
    return answer.choices[0].message.parsed


def response_parse(clients: Clients) -> object:
    answer = clients.openai.responses.parse(
        model=MODEL, input=ASK, text_format=Order, temperature=0, max_output_tokens=TOKENS
    )
    return answer.output_parsed


def function_tool(clients: Clients) -> object:
    answer = clients.openai.chat.completions.parse(
        model=clients.calling,
        messages=ASK,
        tools=[openai.pydantic_function_tool(Order)],
        tool_choice="required",
        temperature=0,
        max_tokens=TOKENS,
    )
    assert answer.choices[0].message.tool_calls
    return answer.choices[0].message.tool_calls[0].function.parsed_arguments


def message_parse(clients: Clients) -> object:
    return clients.anthropic.messages.parse(
        model=MODEL, messages=ASK, output_format=Order, max_tokens=TOKENS, extra_body={"temperature": 0}
    ).parsed_output


def native_format(clients: Clients) -> object:
    options = {"temperature": 0, "num_predict": TOKENS}
    answer = clients.ollama.chat(model=MODEL, messages=ASK, format=Order.model_json_schema(), options=options)
    return Order.model_validate_json(answer.message.content or "")


@pytest.mark.parametrize("ask", [chat_parse, response_parse, function_tool, message_parse, native_format])
def test_a_plain_model_of_pydantic(clients: Clients, ask: Callable[[Clients], object]) -> None:
    order = ask(clients)
    assert isinstance(order, Order)
    assert "@" in order.email


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_model_of_zod(clients: Clients, seed: int) -> None:
    answer = clients.openai.chat.completions.create(
        model=MODEL,
        messages=ASK,
        response_format={"type": "json_schema", "json_schema": {"name": "order", "schema": ZOD, "strict": True}},
        temperature=1,
        seed=seed,
        max_tokens=TOKENS,
    )
    jsonschema.validate(json.loads(answer.choices[0].message.content or ""), _without_looking(ZOD))


def _without_looking(schema: dict[str, Any]) -> dict[str, Any]:
    """What binds: all but the parts of patterns that look around."""
    texts = {"email": r"^[\w'+.-]+@([A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}$", "wait": r"^P[\dYMWDTHMS.,]*$"}
    bound = {name: {"type": "string", "pattern": pattern} for name, pattern in texts.items()}
    return {**schema, "properties": {**schema["properties"], **bound}}
