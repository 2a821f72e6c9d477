"""Errors of requests with more to read than the context window holds."""

from swell.errors.base import error_dataclass
from swell.errors.requests import RequestError


class ContextOverflowError(RequestError):
    """There is more to read than the window holds. Clients shorten their conversation and try again."""


@error_dataclass
class PromptTooLongError(ContextOverflowError):
    """The prompt doesn't fit; the window must hold at least one generated token, too."""

    prompt_tokens: int
    window_tokens: int

    def __str__(self) -> str:
        return (
            f"the request exceeds the available context size: the prompt is {self.prompt_tokens} tokens long and the "
            f"context window holds {self.window_tokens}; shorten it or raise num_ctx (exceed_context_size_error)"
        )


@error_dataclass
class UnshiftablePromptError(PromptTooLongError):
    def __str__(self) -> str:
        return (
            "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust "
            "the context length in settings, or use a model with a longer context length "
            f"({self.prompt_tokens} tokens exceed {self.window_tokens})"
        )


@error_dataclass
class InputTooLongError(ContextOverflowError):
    def __str__(self) -> str:
        return "the input length exceeds the context length"


@error_dataclass
class LegacyInputTooLongError(InputTooLongError):
    pass


@error_dataclass
class UncuttableInputError(InputTooLongError):
    def __str__(self) -> str:
        return "input after truncation exceeds maximum context length"
