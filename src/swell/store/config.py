"""The configuration of a model in the store: a blob with what lists show, and by which names its parsers go."""

from typing import Any

import msgspec


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What of a configuration Swell reads; the rest it reads from the weights themselves."""

    renderer: str = ""
    parser: str = ""
    requires: str = ""


class ListedFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a configuration says of the weights."""

    model_family: str
    model_families: list[str]
    model_type: str
    file_type: str
    context_length: int = 0
    embedding_length: int = 0


def config_content(facts: ListedFacts, config: ModelConfig, diff_ids: list[str]) -> bytes:
    """A configuration as Ollama writes it. `diff_ids` are the digests of the layers."""
    content: dict[str, Any] = {
        "model_format": "gguf",
        **msgspec.to_builtins(facts),
        **{name: value for name, value in msgspec.to_builtins(config).items() if value},
        # what every image has; models are for any machine
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return msgspec.json.encode(content)
