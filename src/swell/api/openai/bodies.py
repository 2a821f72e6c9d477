"""Request bodies of OpenAI's endpoints. What isn't listed is ignored; None is what wasn't given."""

from typing import Any

import msgspec

from swell.text.prompts.messages import ToolSpec


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`include_usage`: the stream ends with an event that counts tokens."""

    include_usage: bool = False


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to think."""

    effort: str | None = None
    summary: str | None = None


class JsonSchema(msgspec.Struct, frozen=True, kw_only=True):
    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True):
    """`json_schema` belongs to the type of that name. Clients of llama.cpp's server have `schema` beside the type."""

    type: str = ""
    json_schema: JsonSchema = JsonSchema()
    schema: dict[str, Any] | None = None


class CalledFunction(msgspec.Struct, frozen=True, kw_only=True):
    """`arguments` is JSON in a string, or the object itself, as clients of other servers have it."""

    name: str = ""
    arguments: Any = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call in an assistant's message."""

    id: str = ""
    function: CalledFunction = CalledFunction()


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`content` is a text or a list of parts. `name` and `tool_call_id` belong to the role "tool".

    What Ollama calls `reasoning`, others call `reasoning_content`.
    """

    role: str = ""
    content: Any = None
    reasoning: str = ""
    reasoning_content: str = ""
    tool_calls: list[Call] = []
    name: str = ""
    tool_call_id: str = ""


class ChatTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool. Clients that also speak the newer API have the function's fields beside the type, as there."""

    type: str = "function"
    function: ToolSpec = ToolSpec()
    name: str = ""
    description: str = ""
    parameters: dict[str, Any] = {}


class Sampled(msgspec.Struct, kw_only=True):
    """What chat and completions have in common. `n` is how many answers."""

    model: str = ""
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: str | list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int = 1


class ChatRequest(Sampled, kw_only=True):
    """POST /v1/chat/completions. `max_completion_tokens` is the newer name of `max_tokens`.

    Of `chat_template_kwargs`, which vLLM and llama.cpp's server have, what turns thinking off counts.
    """

    messages: list[ChatMessage] = []
    max_completion_tokens: int | None = None
    response_format: ResponseFormat = ResponseFormat()
    tools: list[ChatTool] = []
    tool_choice: Any = None
    parallel_tool_calls: bool = True
    reasoning_effort: str | None = None
    reasoning: Reasoning = Reasoning()
    chat_template_kwargs: dict[str, Any] = {}
    logprobs: bool = False
    top_logprobs: int = 0


class CompletionRequest(Sampled, kw_only=True):
    """POST /v1/completions. `logprobs` is how many alternatives come with each token; None for no likelihoods.

    `echo` asks for the prompt's as well.
    """

    prompt: str | list[str] = ""
    suffix: str = ""
    logprobs: int | None = None
    echo: bool = False


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """POST /v1/embeddings. `input` is raw; `dimensions` 0 is all of them."""

    model: str = ""
    input: Any = None
    dimensions: int = 0
    encoding_format: str = "float"


class TextFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`schema` belongs to the type "json_schema"."""

    type: str
    name: str = ""
    description: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextOptions(msgspec.Struct, frozen=True, kw_only=True):
    format: TextFormat = TextFormat(type="text")


class ResponseRequest(msgspec.Struct, kw_only=True):
    """POST /v1/responses, and /v1/responses/input_tokens, which needs less. `input` is a text or a list of items."""

    model: str = ""
    input: Any = None
    instructions: str = ""
    max_output_tokens: int | None = None
    temperature: float = 1.0
    top_p: float | None = None
    tools: list[dict[str, Any]] = []
    tool_choice: Any = None
    parallel_tool_calls: bool = True
    stream: bool = False
    reasoning: Reasoning = Reasoning()
    text: TextOptions = TextOptions()
    truncation: str = "disabled"
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool = False
