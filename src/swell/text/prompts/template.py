"""Chat templates: the Jinja text inside a GGUF, rendered in a sandbox."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Message


def without_template(messages: Sequence[Message]) -> str:
    """The prompt for a model that has no template: the messages' contents, a blank line between them."""
    return "\n\n".join(message.content for message in messages if message.content)


def render(
    template: str,
    messages: Sequence[Mapping[str, object]],
    *,
    bos_token: str,
    eos_token: str,
    tools: Sequence[Mapping[str, object]] = (),
    thinking: bool | str | None = None,
) -> str:
    """The prompt for the model's next turn.

    `thinking` is on, off or a level; None leaves it to the template. Raises InvalidRequestError if the template fails,
    which some do on purpose, for example when roles don't alternate.
    """
    program = compile_template(template)
    values = {
        "messages": list(messages),
        "add_generation_prompt": True,
        "bos_token": bos_token,
        "eos_token": eos_token,
        **_thinking_variables(thinking),
    }
    try:
        try:
            return program.render(values, tools=list(tools) or None)
        except TypeError:
            if tools:
                raise
            return program.render(values, tools=[])  # some go over the tools even if there are none
    except Exception as error:  # a template is a foreign program: any error in it is one of this request
        raise _refused(error) from error


def _thinking_variables(thinking: bool | str | None) -> dict[str, object]:
    """The variables in which templates expect it: `enable_thinking` of Qwen and most others, `thinking` of Granite and
    DeepSeek, `reasoning_effort` of gpt-oss, which knows no level above high and always thinks."""
    if thinking is None:
        return {}
    switches: dict[str, object] = {"enable_thinking": bool(thinking), "thinking": bool(thinking)}
    if thinking is True:
        return switches
    effort = "low" if thinking is False else "high" if thinking == "max" else thinking
    return {**switches, "reasoning_effort": effort}


class _TemplateRefusalError(jinja2.TemplateError):
    """A template called `raise_exception`."""


class _Generation(Extension):
    """`{% generation %}` marks what a model is trained on. In a prompt it has no effect."""

    tags = {"generation"}  # noqa: RUF012 - the base class declares it so

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@lru_cache(maxsize=64)
def compile_template(template: str) -> jinja2.Template:
    """`template`, compiled. Raises InvalidRequestError if it has errors."""
    try:
        return _environment().from_string(template)
    except Exception as error:
        raise _refused(error) from error


def _refused(error: Exception) -> InvalidRequestError:
    return InvalidRequestError(f"the model's chat template refused the request: {error}")


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    """The environment chat templates are written for: that of the transformers library.

    Unlike there, templates may change lists, because some do; what they are given is made for them alone.
    """
    environment = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes HTML and sorts keys; models were trained on plain JSON."""
    value = list(value) if isinstance(value, Iterator) else value
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(reason: object) -> NoReturn:
    raise _TemplateRefusalError(str(reason))


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
