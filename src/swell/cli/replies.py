"""The parts of the server's JSON that the commands read. Sizes are bytes, durations nanoseconds."""

from datetime import datetime
from typing import Any

import msgspec


class Version(msgspec.Struct, frozen=True):
    """GET /api/version; `swell` is absent when another program answers."""

    version: str
    swell: str | None = None


class ModelDetails(msgspec.Struct, frozen=True):
    family: str = ""
    parameter_size: str = ""
    quantization_level: str = ""


class StoredModel(msgspec.Struct, frozen=True):
    """A row of GET /api/tags."""

    name: str
    digest: str
    size: int
    modified_at: datetime


class Tags(msgspec.Struct, frozen=True):
    models: list[StoredModel]


class ModelLength(msgspec.Struct, frozen=True):
    """GET /v1/models/{model}: the longest conversation with it, in tokens."""

    max_model_len: int


class RunningModel(msgspec.Struct, frozen=True, kw_only=True):
    """A row of GET /api/ps; the optional numbers are Swell's own, in tokens and bytes."""

    name: str
    digest: str
    size: int
    expires_at: datetime
    size_vram: int = 0
    context_length: int = 0
    context_used: int | None = None
    context_active: int | None = None
    context_allocated: int | None = None
    context_initial: int | None = None
    threads: int | None = None
    threads_allowed: int | None = None
    ram_used: int | None = None
    weights_used: int | None = None
    kv_used: int | None = None
    kv_granted: int | None = None
    other_used: int | None = None
    cut_tokens: int | None = None
    vram_used: int | None = None
    vram_total: int | None = None


class Running(msgspec.Struct, frozen=True):
    models: list[RunningModel]


class TensorRow(msgspec.Struct, frozen=True):
    name: str
    type: str
    shape: list[int]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/show."""

    license: str = ""
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""
    requires: str = ""
    details: ModelDetails = ModelDetails()
    model_info: dict[str, Any] = {}
    projector_info: dict[str, Any] = {}
    tensors: list[TensorRow] = []
    capabilities: list[str] = []

    @property
    def is_embedder(self) -> bool:
        """Whether the model makes vectors instead of answers."""
        return "embedding" in self.capabilities


class StepLine(msgspec.Struct, frozen=True):
    """One line of a pull, a push or a create. With a `total`, that of the file with this digest, in bytes."""

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0


class EmbedAnswer(msgspec.Struct, frozen=True):
    """POST /api/embed; the vectors as the server wrote them."""

    embeddings: list[msgspec.Raw]


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation, in requests too; `thinking` is what the model thought before `content`.

    `images` are in base64.
    """

    role: str
    content: str
    thinking: str = ""
    images: list[str] = []


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a streamed generation: `response` from /api/generate, `message` from /api/chat."""

    response: str = ""
    thinking: str = ""
    message: ChatMessage | None = None
    done: bool = False
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0

    @property
    def text(self) -> str:
        """The piece of the answer in this line."""
        return self.message.content if self.message else self.response

    @property
    def thoughts(self) -> str:
        """The piece of the model's thoughts in this line."""
        return self.message.thinking if self.message else self.thinking
