"""All settings: one table of environment variables, from which values and documentation both come.

A setting is a field of `Settings`. Its metadata names the variable, parses it and documents it; `docs/settings.md` is
generated from here (`python -m swell.settings`) and a test keeps the two equal.
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from swell.cache import INITIAL_TOKENS, CacheType, FlashAttention, StoreKind
from swell.host import HostAddress, parse_host
from swell.memory.budget import Budget, parse_budget
from swell.memory.device_limits import DeviceLimits, parse_device_limits
from swell.template_preference import TemplatePreference
from swell.variables import (
    INT32_MAX,
    parse_body_limit,
    parse_bool,
    parse_cache_type,
    parse_flash_attention,
    parse_folder,
    parse_initial_tokens,
    parse_keep_alive,
    parse_list,
    parse_log_level,
    parse_optional_budget,
    parse_patience,
    parse_size,
    parse_store,
    parse_template_preference,
    parse_timeout,
    parse_wait,
    parse_whole,
    parse_workers,
)

log = logging.getLogger(__name__)

SLOTS_MAX = 256  # as many sequences as llama.cpp takes
_INT64_MAX = 2**63 - 1


class LogFormat(Enum):
    """How the log is written: lines for people, or an object of JSON each."""

    TEXT = "text"
    JSON = "json"


def _setting(name: str, parse: Callable[[str], Any], default: str, doc: str) -> Any:
    return dataclasses.field(
        default=parse(default), metadata={"name": name, "parse": parse, "default": default, "doc": doc}
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The environment, parsed. Immutable; the server reads it once when it starts."""

    host: HostAddress = _setting(
        "OLLAMA_HOST", parse_host, "127.0.0.1:11434", "Address the server binds and the commands connect to."
    )
    origins: tuple[str, ...] = _setting(
        "OLLAMA_ORIGINS", parse_list, "", "More browser origins to allow, separated by commas; `*` is a wildcard."
    )
    dashboard: bool = _setting(
        "SWELL_DASHBOARD",
        parse_bool,
        "1",
        "`1`: browsers are shown the dashboard at `/`, see [dashboard.md](dashboard.md). `0`: they get what all others "
        "do.",
    )
    log_level: int = _setting(
        "OLLAMA_DEBUG", parse_log_level, "0", "`1` logs more, `2` logs llama.cpp's own messages too."
    )
    log_format: LogFormat = _setting(
        "SWELL_LOG_FORMAT",
        LogFormat,
        "text",
        "`json` writes each line of the log as an object, see [observing.md](observing.md).",
    )
    otel_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        str,
        "",
        "Where an OpenTelemetry collector takes OTLP over HTTP, for traces; OpenTelemetry's other variables are "
        "heeded, too.",
    )
    otel_traces_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", str, "", "The same, where the whole address is for traces only."
    )
    otel_disabled: bool = _setting("OTEL_SDK_DISABLED", parse_bool, "false", "`true` sends no traces.")
    no_history: bool = _setting(
        "OLLAMA_NOHISTORY",
        parse_bool,
        "0",
        "`1`: `swell run` doesn't keep what is typed in `~/.local/state/swell/history` for the next conversation.",
    )
    keep_alive_s: float = _setting(
        "OLLAMA_KEEP_ALIVE",
        parse_keep_alive,
        "5m",
        "How long a model stays loaded after its last request: a duration (`10m`, `1h30m`) or seconds; negative "
        "is forever, `0` unloads at once.",
    )
    load_timeout_s: float = _setting(
        "OLLAMA_LOAD_TIMEOUT",
        parse_timeout,
        "5m",
        "How long the load of a model may make no progress; `0` is no limit.",
    )
    store_dir: Path = _setting(
        "OLLAMA_MODELS",
        parse_folder,
        "~/.ollama/models",
        "The store of models, in Ollama's layout; a real Ollama may use it, too.",
    )
    no_prune: bool = _setting(
        "OLLAMA_NOPRUNE",
        parse_bool,
        "0",
        "`1`: files in the store that no model needs any more are kept. `0`: they are deleted with the model, and "
        "those that were left by a crash when the server starts, once they are an hour old.",
    )
    template_preference: TemplatePreference = _setting(
        "OLLAMA_GO_TEMPLATE",
        parse_template_preference,
        "auto",
        "Models of the store may have a template from a Modelfile, in Go's language, beside the one in their weights. "
        "`1`: the former is used, `0`: the latter, `auto`: the former unless the latter can do more.",
    )
    models_dir: Path | None = _setting(
        "SWELL_MODELS_DIR",
        parse_folder,
        "",
        "A folder whose GGUF files, and those in the folders below it, are models; see [models.md](models.md).",
    )
    max_loaded_models: int = _setting(
        "OLLAMA_MAX_LOADED_MODELS",
        parse_whole(0, INT32_MAX),
        "0",
        "How many models may be loaded at a time; `0` is 3, or 3 per device beside the CPU. Memory may allow fewer.",
    )
    max_queue: int = _setting(
        "OLLAMA_MAX_QUEUE",
        parse_whole(0, INT32_MAX),
        "512",
        "How many requests may wait for a model to be loaded; more are refused with status 503. Requests to a model "
        "that is loaded aren't counted.",
    )
    body_limit_bytes: int = _setting(
        "SWELL_BODY_LIMIT",
        parse_body_limit,
        "16MB",
        "How long the body of a request may be: bytes, at most `64MB`; longer ones are refused with status 413.",
    )
    send_timeout_s: float = _setting(
        "SWELL_SEND_TIMEOUT",
        parse_patience,
        "5m",
        "How long a client may read nothing while an answer waits for it; then its connection is closed and the answer "
        "given up. Reading anything begins the time anew. `0` is no limit.",
    )
    context_length: int = _setting(
        "OLLAMA_CONTEXT_LENGTH",
        parse_whole(0, INT32_MAX),
        "0",
        "Ceiling, in tokens, for requests that bring no `num_ctx` of their own; `0` is what the model was trained "
        "for. With the eager cache it is also what is allocated per slot.",
    )
    repeat_guard: bool = _setting(
        "SWELL_REPEAT_GUARD",
        parse_bool,
        "1",
        "`1`: an answer ends, as one that is too long, when the model has written more than 30 equal tokens in a row "
        "(white space doesn't tell them apart). `0`: it goes on.",
    )
    num_parallel: int = _setting(
        "OLLAMA_NUM_PARALLEL",
        parse_whole(0, SLOTS_MAX),
        "0",
        "Slots per model, at most 256; `0` picks a number that costs next to nothing.",
    )
    workers: tuple[str, ...] = _setting(
        "SWELL_WORKERS",
        parse_workers,
        "",
        "Workers whose memory and processors models may use: `host:port`, separated by commas; see "
        "[workers.md](workers.md).",
    )
    sched_spread: bool = _setting(
        "OLLAMA_SCHED_SPREAD", parse_bool, "0", "`1`: spread every model over all devices, not as few as it fits on."
    )
    gpu_overhead_bytes: int = _setting(
        "OLLAMA_GPU_OVERHEAD", parse_whole(0, _INT64_MAX), "0", "Bytes that stay free on each device."
    )
    device_limits: DeviceLimits = _setting(
        "SWELL_DEVICE_MEMORY",
        parse_device_limits,
        "",
        "How much of a device's memory all models together may take: `4GB` or `50%` of each, or of some by name: "
        "`Vulkan0=4GB,CUDA1=50%`; see [workers.md](workers.md).",
    )
    kv_dynamic: bool = _setting(
        "OLLAMA_KV_CACHE_DYNAMIC",
        parse_bool,
        "1",
        "`1`: the KV cache starts small and grows with the conversation. `0`: everything is allocated at load.",
    )
    kv_initial_tokens: int | None = _setting(
        "OLLAMA_KV_CACHE_INIT",
        parse_initial_tokens,
        str(INITIAL_TOKENS),
        "Tokens granted to each slot when a model is loaded; `auto` learns them from the model's latest answers, see "
        "[sizes.md](sizes.md).",
    )
    kv_grow_tokens: int = _setting(
        "OLLAMA_KV_CACHE_GROW",
        parse_whole(1, INT32_MAX),
        "1024",
        "Tokens by which a slot's grant grows while it generates.",
    )
    kv_idle_shrink_s: float = _setting(
        "SWELL_KV_IDLE_SHRINK",
        parse_timeout,
        "30s",
        "How long a model may do nothing before it gives back what goes beyond its cached conversations; `0` is never.",
    )
    checkpoints: int = _setting(
        "SWELL_CHECKPOINTS",
        parse_whole(0, 1000),
        "8",
        "How many earlier states of a conversation are kept, for models whose memory can't be cut (sliding windows, "
        "recurrent layers), so that a turn that changes the end of the last one needs not be read from the beginning.",
    )
    prefix_cache: Path | None = _setting(
        "SWELL_PREFIX_CACHE",
        parse_folder,
        "",
        "A folder to which conversations go that a model gives up or is unloaded with, so that they need not be read "
        "again: not after a restart either. Without one they are forgotten.",
    )
    prefix_cache_bytes: int = _setting(
        "SWELL_PREFIX_CACHE_SIZE",
        parse_size,
        "10GB",
        "How much the files in `SWELL_PREFIX_CACHE` may take: bytes (`20GB`); those used longest ago are deleted.",
    )
    kv_budget: Budget | None = _setting(
        "SWELL_KV_BUDGET",
        parse_optional_budget,
        "",
        "How much memory the KV caches of all models together may be granted, and what long texts are embedded in: "
        "bytes (`8GB`, `8GiB`) or a part of the memory there is (`60%`).",
    )
    kv_headroom: Budget = _setting(
        "SWELL_KV_HEADROOM",
        parse_budget,
        "2%",
        "Memory that no cache may take: bytes or a part of all there is.",
    )
    kv_wait_s: float = _setting(
        "SWELL_KV_WAIT",
        parse_wait,
        "30s",
        "How long an answer that needs memory waits for models that have some and are busy, before it fails. Idle ones "
        "give theirs up at once. `0` fails at once.",
    )
    kv_cache_type: CacheType | None = _setting(
        "OLLAMA_KV_CACHE_TYPE",
        parse_cache_type,
        "f16",
        "How K and V are stored: `f16`, or `q8_0` and `q4_0` for about half and a quarter of the memory; `auto` is "
        "`f16`, and a smaller one when nothing else helps an answer to go on.",
    )
    resume_attempts: int = _setting(
        "SWELL_RESUME_ATTEMPTS",
        parse_whole(0, 100),
        "4",
        "How many things are tried for an answer that can't go on where it is, without any progress, before it fails; "
        "`0` fails at once.",
    )
    drain_s: float = _setting(
        "SWELL_DRAIN",
        parse_wait,
        "30s",
        "How long answers in progress may take when the server is told to stop; then they end with what there is.",
    )
    stuck_s: float = _setting(
        "SWELL_STUCK",
        parse_patience,
        "60s",
        "A runner that doesn't answer for so long is ended and its answers go on in another one; likewise one whose "
        "batch takes ten times as long. `0` is never.",
    )
    fleet_silence_s: float = _setting(
        "SWELL_FLEET_SILENCE", parse_patience, "5s", "A replica of a [fleet](fleet.md) that is silent so long is lost."
    )
    flash_attention: FlashAttention = _setting(
        "OLLAMA_FLASH_ATTENTION",
        parse_flash_attention,
        "auto",
        "`1` or `0` to fuse attention or not; without it memory follows a conversation less closely.",
    )
    kv_store: StoreKind | None = _setting(
        "SWELL_KV_STORE",
        parse_store,
        "auto",
        "For comparison: `copied` or `eager` instead of the best that works, `reserved` or `placed`.",
    )

    def context_ceiling(self, trained_tokens: int) -> int:
        """The longest conversation of a model trained for so many tokens, for requests without a `num_ctx`."""
        return min(self.context_length or trained_tokens, trained_tokens)

    @property
    def store_kind(self) -> StoreKind | None:
        """The way to hold the cache that was asked for; None for the best that works."""
        return self.kv_store if self.kv_dynamic else StoreKind.EAGER

    @property
    def learns_first_grant(self) -> bool:
        """Whether first grants are to be learned; an eager cache has none."""
        return self.kv_initial_tokens is None and self.store_kind is not StoreKind.EAGER

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Values from `environment`; one that can't be parsed is logged and replaced by its default."""
        given = list(given_settings(environment))
        for one in given:
            if one.fault:
                log.warning("ignoring %s=%s: %s; using %s", one.name, one.text, one.fault, one.default or "none")
        return cls.from_given(given)

    @classmethod
    def from_given(cls, given: "Iterable[GivenSetting]") -> "Settings":
        """The values of what is `given`, and defaults for what isn't or can't be parsed."""
        return cls(**{one.field: one.value for one in given if not one.fault})


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenSetting:
    """What the environment says of a setting. With a `fault`, the text can't be parsed and the default counts."""

    name: str
    field: str
    text: str
    default: str
    value: Any = None
    fault: str = ""


def given_settings(environment: Mapping[str, str]) -> Iterator[GivenSetting]:
    """The settings that are in `environment`, blanks and quotes trimmed; what is empty then is as good as absent."""
    for field in dataclasses.fields(Settings):
        name, default = field.metadata["name"], field.metadata["default"]
        text = environment.get(name, "").strip().strip("\"'")
        if not text:
            continue
        found = GivenSetting(name=name, field=field.name, text=text, default=default)
        try:
            yield dataclasses.replace(found, value=field.metadata["parse"](text))
        except ValueError as error:
            yield dataclasses.replace(found, fault=str(error))


def setting_names() -> tuple[str, ...]:
    """The variables that are settings."""
    return tuple(field.metadata["name"] for field in dataclasses.fields(Settings))


_PAGE = """# Settings

Swell reads its settings from the environment when it starts, under the names Ollama users know.
This page is generated: `python -m swell.settings > docs/settings.md`.

| variable | default | meaning |
| --- | --- | --- |
"""


def table() -> str:
    """The settings as a Markdown page."""
    return _PAGE + "\n".join(
        f"| `{field.metadata['name']}` | {_default(field.metadata['default'])} | {field.metadata['doc']} |"
        for field in dataclasses.fields(Settings)
    )


def _default(text: str) -> str:
    return f"`{text}`" if text else "none"


if __name__ == "__main__":
    print(table())
