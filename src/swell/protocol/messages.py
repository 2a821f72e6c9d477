"""The messages, one struct each. `Request` goes to a runner, `Reply` comes back.

Every request but `Load` and `Cancel` carries an `id` chosen by the server; replies to it carry the same. Durations are
nanoseconds, as in the API.
"""

from enum import Enum
from typing import Any

import msgspec


class StoreKind(Enum):
    """The ways to hold a KV cache."""

    RESERVED = "reserved"
    EAGER = "eager"


class FinishReason(Enum):
    """Why a generation ended by itself."""

    STOP = "stop"  # the model said so
    LENGTH = "length"  # its limit or the end of its window


class SlotState(Enum):
    """What a slot is doing."""

    IDLE = "idle"
    PREFILL = "prefill"
    GENERATE = "generate"


# --- to the runner ---------------------------------------------------------------------------------------------


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """First message to a runner: what to load, and how. Zeros mean "choose"."""

    path: str
    log_level: int
    slots: int = 0
    context_max: int = 0  # tokens per slot; 0: the trained length
    dynamic: bool = True
    initial_tokens: int = 2048
    grow_tokens: int = 1024
    threads: int = 0
    batch_tokens: int = 512


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen; the names and meanings of Ollama's options. `temperature` 0 is greedy."""

    seed: int
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


class Generate(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Carry `prompt` on for at most `limit_tokens` tokens in a window of `window_tokens`, prompt included."""

    id: int
    prompt: list[int]
    window_tokens: int
    limit_tokens: int
    sampling: Sampling


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Stop generation `id` within a batch. Answered by nothing: the server already forgot it."""

    id: int


class Tokenize(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """`add_special`: BOS and EOS where the vocabulary wants them; `parse_special`: "<|im_end|>" is one token."""

    id: int
    text: str
    add_special: bool
    parse_special: bool


class GetStats(msgspec.Struct, frozen=True, tag=True):
    id: int


Request = Load | Generate | Cancel | Tokenize | GetStats


# --- from the runner -------------------------------------------------------------------------------------------


class Loaded(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The runner is ready. `store_reason` says why this store was chosen. Special tokens are text, "" if absent."""

    context_max: int
    slots: int
    store: StoreKind
    store_reason: str
    add_bos: bool
    add_eos: bool
    bos_text: str
    eos_text: str


class LoadFailed(msgspec.Struct, frozen=True, tag=True):
    """The runner could not load; `kind` and `fields` as in `swell.errors.to_data`. It exits after this."""

    kind: str
    fields: dict[str, Any]


class Tokenized(msgspec.Struct, frozen=True, tag=True):
    id: int
    tokens: list[int]


class Emitted(msgspec.Struct, frozen=True, array_like=True):
    """One generated token of generation `id`, with the bytes it stands for (control tokens: none)."""

    id: int
    token: int
    piece: bytes


class Step(msgspec.Struct, frozen=True, tag=True):
    """All tokens that one decoding step gave, of every generation."""

    emitted: list[Emitted]


class Finished(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Generation `id` is complete. `prompt_tokens` counts the cached ones too."""

    id: int
    reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    prompt_ns: int
    generated_tokens: int
    generate_ns: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Request `id` failed; `kind` and `fields` as in `swell.errors.to_data`."""

    id: int
    kind: str
    fields: dict[str, Any]


class Stats(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Memory and slots at this moment, in the words of the glossary in docs/architecture.md.

    `weights_bytes` are the model's tensors; `resident_bytes` is the whole process as the kernel counts it.
    """

    id: int
    context_max: int
    context_used: int
    context_active: int
    context_allocated: int
    context_initial: int
    slots: int
    slots_in_use: int
    kv_granted_bytes: int
    kv_resident_bytes: int
    kv_reserved_bytes: int
    weights_bytes: int
    resident_bytes: int
    store: StoreKind
    store_reason: str


Reply = Loaded | LoadFailed | Tokenized | Step | Finished | Failed | Stats
