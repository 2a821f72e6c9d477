"""From a body to the request of a turn, after checks that the model can do what is asked."""

from swell.api.ollama.bodies import ChatBody, Common, GenerateBody
from swell.errors import InvalidRequestError, UnsupportedError
from swell.models.model import Model
from swell.options import merge
from swell.turns import checks
from swell.turns.request import TurnRequest
from swell.turns.text_completion import TextCompletion


def check_chat(body: ChatBody, model: Model, thinking: bool | str | None) -> None:
    """Raises a RequestError if `body` asks for what `model` can't do."""
    checks.check_thinking(body.model, model, thinking)
    checks.check_completes(body.model, model, "chat")
    if body.tools and "tools" not in model.capabilities:
        raise UnsupportedError(model.full_name, "tools")
    for message in body.messages:
        checks.check_images(model, message.images)
    _check_rendering(body)


def check_generate(body: GenerateBody, model: Model, thinking: bool | str | None) -> None:
    """Raises a RequestError if `body` asks for what `model` can't do, or for things that exclude each other."""
    if body.raw and (body.template or body.system or body.context):
        raise InvalidRequestError("raw mode does not support template, system, or context")
    checks.check_thinking(body.model, model, thinking)
    checks.check_completes(body.model, model, "generate")
    if body.suffix and "insert" not in model.capabilities:
        raise UnsupportedError(model.full_name, "insert")
    checks.check_images(model, body.images)
    _check_rendering(body)
    if any(not 0 <= token < model.vocabulary_tokens for token in body.context):
        raise InvalidRequestError("context holds a number that is no token of this model")


def turn_request(body: Common, model: Model, keep_alive_s: float | None, started_ns: int) -> TurnRequest:
    """The request of a turn, without its prompt. Raises InvalidOptionError or InvalidFormatError.

    The window of DeepSeek 2 shifts only if that is asked for, as in Ollama.
    """
    return TurnRequest(
        model=model,
        options=merge(body.options, model.manifest.parameters),
        keep_alive_s=keep_alive_s,
        started_ns=started_ns,
        shifts=model.architecture != "deepseek2" if body.shift is None else body.shift,
        schema=checks.schema_of(body.format),
        top_logprobs=body.top_logprobs if body.logprobs else None,
        content=body,
    )


def text_completion_of(body: GenerateBody, thinking: bool | str | None) -> TextCompletion:
    """What `body` has for the prompt."""
    return TextCompletion(
        prompt=body.prompt,
        suffix=body.suffix,
        system=body.system,
        template=body.template,
        context=body.context,
        raw=body.raw,
        thinking=thinking,
        truncate=body.truncate,
    )


def _check_rendering(body: Common) -> None:
    """Raises UnsupportedError for `_debug_render_only`, which Swell can't do yet."""
    if body.debug_render_only:
        raise UnsupportedError("swell", "rendering only (_debug_render_only)")
