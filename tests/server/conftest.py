"""Tiny GGUF files, and a scripted scheduler for what is only about HTTP: checks, their order, and the wire format.

That the real scheduler and runner do what the scripted ones do is tested elsewhere, with a real model.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import gguf
import httpx
import pytest

from swell.cache import StoreKind
from swell.errors import UnreadError
from swell.protocol.messages import Emitted, Finished, FinishReason, Generate, Loaded, Prefilled
from swell.sampling import Preamble, Sampling
from swell.server.app import create_app
from swell.server.models.catalog import Catalog, Model
from swell.server.models.model import Summary, open_model
from swell.server.models.names import ModelName, parse_name
from swell.server.options import Options
from swell.server.sandbox.job import CheckSchema, Render
from swell.server.scheduler import LoadedModel, Scheduler
from swell.server.scheduling.fit import Fit
from swell.server.scheduling.relief import Source
from swell.server.scheduling.ward import Ward
from swell.server.stream import Event
from swell.settings import Settings

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
BOS, BOS_TOKEN = "<s>", 1
VOCABULARY_TOKENS = 300
HANG = object()
"""In a script: wait until the generation is cancelled."""


class Pause(NamedTuple):
    """In a script: so long nothing comes."""

    seconds: float


FACTS = Loaded(
    context_max=1000,
    slots=1,
    store=StoreKind.EAGER,
    store_reason="scripted",
    add_bos=True,
    add_eos=False,
    bos_text=BOS,
    eos_text="</s>",
)


def write_gguf(
    path: Path,
    *,
    embeds: bool = False,
    template: str | Sequence[dict[str, str]] | None = TEMPLATE,
    tokens: Sequence[str] = (),
) -> Path:
    """A GGUF with a header like a real model's and one tensor. Its vocabulary begins with `tokens`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(4)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_bool("test.bool", True)
    writer.add_float64("test.float", 0.5)
    writer.add_array("test.numbers", [1, -2, 3])
    writer.add_token_list([*tokens, *(f"token{number}" for number in range(len(tokens), VOCABULARY_TOKENS))])
    if embeds:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    if template is not None:
        writer.add_chat_template(template)
    writer.add_tensor_info("w.weight", [4, 300], "float32", 4800, gguf.GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("ab") as file:
        file.write(bytes(4800 + 32))
    return path


class Asked(NamedTuple):
    """What a generation was to follow and to show."""

    schema: str | None
    preamble: Preamble | None
    visible: tuple[str, ...]


class ScriptedRunner:
    """Tokens are characters; BOS is token 1. `script` is what each generation answers, step by step."""

    def __init__(self) -> None:
        self.facts = FACTS
        self.script: list[object] = ["Hel", "lo"]
        self.reason = FinishReason.STOP
        self.cached_tokens = 0
        self.prompts: list[list[int]] = []
        self.windows: list[int] = []
        self.samplings: list[Sampling] = []
        self.asked: list[Asked] = []
        self.embedded: list[list[int]] = []
        self.cut_tokens = 0
        self.vector: list[float] | None = [3.0, 4.0, 12.0]
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool, limit_tokens: int | None = None
    ) -> list[int]:
        return [BOS_TOKEN] * (add_special and self.facts.add_bos) + [ord(letter) for letter in text]

    async def embed(
        self, inputs: list[list[int]], *, cut_tokens: int = 0, threads: int | None = None
    ) -> list[list[float]]:
        """`vector` for each input; None hangs."""
        self.embedded.extend(inputs)
        self.cut_tokens += cut_tokens
        try:
            if self.vector is None:
                self.waiting.set()
                await asyncio.Event().wait()
                raise AssertionError
            return [self.vector] * len(inputs)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @contextlib.contextmanager
    def generating(self, order: Generate) -> Iterator[AsyncIterator[list[Event]]]:
        """The script's steps. Leaving before the last one is a cancel."""
        self._is_over = False
        try:
            yield self._steps(order)
        finally:
            if not self._is_over:
                self.cancelled.set()

    async def _steps(self, order: Generate) -> AsyncIterator[list[Event]]:
        self.prompts.append(order.prompt)
        self.asked.append(Asked(order.schema, order.preamble, tuple(order.visible)))
        self.windows.append(order.window_tokens)
        self.samplings.append(order.sampling)
        prefilled = False
        for step in self.script[len(order.emitted) :]:  # it goes on where another one was lost
            if isinstance(step, Exception):
                self._is_over = True
                if isinstance(step, UnreadError):  # next time it goes on
                    self.script.remove(step)
                raise step
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            if step is HANG:
                self.waiting.set()
                await asyncio.Event().wait()
            first: list[Event] = [] if prefilled else [Prefilled(1, len(order.prompt), self.cached_tokens, 5)]
            prefilled = True
            yield [*first, Emitted(1, 7, str(step).encode())]
        self._is_over = True
        yield [Finished(1, self.reason, 6)]


class ScriptedScheduler:
    """Hands out one scripted runner and notes what it is asked."""

    def __init__(self) -> None:
        self.runner = ScriptedRunner()
        self.calls: list[tuple[object, ...]] = []
        self.rows: list[LoadedModel] = []
        self.relieved = Counter[Source]()
        self.error: Exception | None = None
        self.leases = 0

    @contextlib.asynccontextmanager
    async def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options | None = None,
        also: Fit | None = None,
        ward: Ward = Ward.COMMON,
    ) -> AsyncIterator[ScriptedRunner]:
        self.calls.append(("lease", model.name, keep_alive_s))
        if self.error is not None:
            raise self.error
        self.leases += 1
        try:
            yield self.runner
        finally:
            self.leases -= 1

    def fit_of(self, model: Model) -> None:
        return None

    def count_idle(self, *, but: Model) -> int:
        return 0

    def count_busy(self) -> int:
        return 0

    async def unload(self, model: Model) -> None:
        self.calls.append(("unload", model.name))

    async def loaded(self) -> list[LoadedModel]:
        return self.rows

    def check_integrity(self) -> list[str]:
        return []

    async def close(self) -> None:
        self.calls.append(("close",))


@dataclass
class FileModels:
    """A source of models: names and files."""

    files: dict[str, Path]

    def names(self) -> list[ModelName]:
        return [parse_name(name) for name in self.files]

    def summary(self, name: ModelName) -> Summary | None:
        model = self.find(name)
        return None if model is None else model.summary()

    def find(self, name: ModelName) -> Model | None:
        path = self.files.get(name.short.lower())
        return None if path is None else open_model(path, name.short.lower(), name.full.lower())


class InProcess:
    """Does what the sandbox does where it is asked to: that a process of its own does no harm is tested elsewhere."""

    async def render(self, job: Render) -> str:
        return job.run()

    async def check(self, schema: str) -> None:
        CheckSchema(schema=schema).run()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class Server:
    """The application over a scripted scheduler, with requests as plain calls."""

    catalog: Catalog
    scheduler: ScriptedScheduler
    settings: Settings = field(default_factory=lambda: Settings(resume_attempts=1))
    client: tuple[str, int] = ("127.0.0.1", 5)

    @property
    def runner(self) -> ScriptedRunner:
        return self.scheduler.runner

    def app(self) -> Any:
        return create_app(self.settings, cast(Scheduler, self.scheduler), self.catalog, InProcess(), InProcess())

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app(), raise_app_exceptions=False, client=self.client)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:11434") as client:
                return await client.request(method, path, **kwargs)

        return asyncio.run(ask())

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.request("POST", path, json=body)

    def lines(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """A streamed answer's lines; the status must be 200."""
        response = self.post(path, **body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.text.endswith("\n")
        return [json.loads(line) for line in response.text.removesuffix("\n").split("\n")]

    def refused(self, path: str, **body: Any) -> tuple[int, str]:
        """Status and text of an error."""
        response = self.post(path, **body)
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert list(response.json()) == ["error"]
        return response.status_code, response.json()["error"]

    def with_window(self, tokens: int) -> None:
        self.with_facts(context_max=tokens)

    def with_facts(self, **changes: Any) -> None:
        self.runner.facts = replace_facts(**changes)


def replace_facts(**changes: Any) -> Loaded:
    return Loaded(**{name: changes.get(name, getattr(FACTS, name)) for name in FACTS.__struct_fields__})


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def make_gguf(tmp_path: Path) -> Callable[..., Path]:
    return lambda name="other.gguf", **kwargs: write_gguf(tmp_path / name, **kwargs)


@pytest.fixture
def server(tiny_gguf: Path, tmp_path: Path) -> Server:
    """Knows the models `tiny:latest` and, for embeddings, `embed:latest`."""
    files = {"tiny:latest": tiny_gguf, "embed:latest": write_gguf(tmp_path / "embed.gguf", embeds=True)}
    return Server(Catalog([FileModels(files)]), ScriptedScheduler())


@pytest.fixture
def moment() -> datetime:
    return datetime(2026, 8, 21, 17, 21, 0, 123456, tzinfo=UTC)


@pytest.fixture
def hang() -> object:
    """A step of a script that ends only by cancellation."""
    return HANG
