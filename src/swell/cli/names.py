"""What users type, made fit for a request."""

import os


def clean(text: str) -> str:
    """`text` without the lone surrogates that stand for undecodable bytes in arguments; JSON can't carry them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def model_name(argument: str) -> str:
    """The model to ask the server for: a name as it is, a GGUF file as its absolute path."""
    is_file = is_gguf_path(argument) or os.path.isfile(argument)
    return clean(os.path.abspath(argument) if is_file else argument)


def is_gguf_path(argument: str) -> bool:
    """Whether it says itself that it is a GGUF file; hf.co/user/repo:file.gguf is a model's name."""
    return argument.lower().endswith(".gguf") and ":" not in argument
