"""What a new model is made of, and what that makes of the layers of its base. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from swell.errors import InvalidOptionError, InvalidRequestError, InvalidTemplateError
from swell.gotemplate.parser import check_template
from swell.options import merge
from swell.store.config import ModelConfig
from swell.store.manifests import Layer
from swell.store.messages import SavedMessage
from swell.store.names import ModelName
from swell.text.prompts.messages import Message

QUANTIZATIONS = ("F32", "F16", "BF16", "Q8_0", "Q4_K_S", "Q4_K_M")
_OTHER_NAMES = {"Q4_K": "Q4_K_M"}
UNQUANTIZED = ("unknown", "F16", "BF16")
"""The `quantization_level` of weights that may be quantised; F32 is shown as unknown."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is asked for. An empty text leaves what the base has; licenses are added to the base's.

    `base` is the name of another model. `files`, `adapters` and `drafts` are digests of blobs by the names of the files
    that they were. `quantization` is one of QUANTIZATIONS, or "".
    """

    name: ModelName
    base: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
    drafts: Mapping[str, str] = field(default_factory=dict)
    template: str = ""
    system: str = ""
    licenses: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    quantization: str = ""
    config: ModelConfig = ModelConfig()


class NewLayer(NamedTuple):
    """A layer whose content isn't a file yet."""

    kind: str
    content: bytes


def check(recipe: Recipe) -> None:
    """Raises InvalidRequestError for what can't be made, whatever the store holds."""
    if not recipe.base and not recipe.files:
        raise InvalidRequestError("neither 'from' or 'files' was specified")
    for name in (*recipe.files, *recipe.adapters, *recipe.drafts):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or "\0" in name:
            raise InvalidRequestError("file path must be relative")
        if name.lower().endswith((".safetensors", ".bin", ".pth")):
            raise InvalidRequestError(
                f"{name}: only GGUF files can be used; llama.cpp's convert_hf_to_gguf.py makes one of other formats"
            )
    if len(recipe.adapters) > 1:
        raise InvalidRequestError("only one adapter is currently supported")
    try:
        merge(recipe.parameters)
        check_template(recipe.template)
    except (InvalidOptionError, InvalidTemplateError) as error:  # of other requests these are the server's failures
        raise InvalidRequestError(str(error)) from error


def quantization(text: str) -> str:
    """The type called `text`, in any case. Raises InvalidRequestError if there is none."""
    name = text.upper()
    name = _OTHER_NAMES.get(name, name)
    if name and name not in QUANTIZATIONS:
        raise InvalidRequestError(
            f"unsupported quantization type {text.upper()} - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0"
        )
    return name


def kept(layers: Sequence[Layer], recipe: Recipe) -> list[Layer]:
    """The layers of the base that aren't replaced."""
    replaced = {layer.kind for layer in new_layers(recipe, {})} - {"license"}
    if "template" in replaced:
        replaced.add("prompt")  # its old name
    replaced |= {kind for kind, files in (("adapter", recipe.adapters), ("draft", recipe.drafts)) if files}
    return [layer for layer in layers if layer.kind not in replaced]


def new_layers(recipe: Recipe, base_parameters: Mapping[str, Any]) -> Iterator[NewLayer]:
    """The layers that come new, except those of files. Parameters are those of the base with the new ones over them."""
    if recipe.template:
        yield NewLayer("template", recipe.template.encode())
    if recipe.system:
        yield NewLayer("system", recipe.system.encode())
    if recipe.parameters:
        yield NewLayer("params", msgspec.json.encode({**base_parameters, **recipe.parameters}))
    if recipe.messages:
        saved = [SavedMessage(role=message.role, content=message.content) for message in recipe.messages]
        yield NewLayer("messages", msgspec.json.encode(saved))
    for text in recipe.licenses:
        yield NewLayer("license", text.encode())


def merged_config(base: ModelConfig, new: ModelConfig) -> ModelConfig:
    """The configuration of the base with what is new over it."""
    changes = {name: value for name, value in msgspec.structs.asdict(new).items() if value}
    return msgspec.structs.replace(base, **changes)
