"""The application over a scripted scheduler, for what is only about HTTP: checks, their order, and the wire format.

That the real scheduler and runner do what the scripted ones do is tested elsewhere, with a real model.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
from starlette.types import ASGIApp

from swell.api.app import create_app
from swell.cache import StoreKind
from swell.errors import UnreadError
from swell.library.library import Library
from swell.metrics.observer import Metrics
from swell.models.catalog import Catalog, Model
from swell.models.model import Summary, open_model
from swell.observe.observing import Observing
from swell.options import Options
from swell.protocol.messages import Emitted, Finished, FinishReason, Generate, Loaded, Prefilled
from swell.registry.transfers import Transfers
from swell.sampling import Sampling, ThinkingPreamble
from swell.sandbox.job import CheckSchema
from swell.sandbox.rendering_jobs import RenderJob
from swell.scheduler.holds import ModelHolds
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.runner_key import RunnerRole
from swell.scheduler.scheduler import LoadedModel, Scheduler
from swell.settings import Settings
from swell.sizes.recent import RecentSizes
from swell.store.names import ModelName, parse_name
from swell.store.store import Store
from swell.supervisor.stream import Event
from swell.turns.services import Services

BOS, BOS_TOKEN = "<s>", 1
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


class Asked(NamedTuple):
    """What a generation was to follow and to show."""

    schema: str | None
    preamble: ThinkingPreamble | None
    visible: tuple[str, ...]


class ScriptedRunner:
    """Tokens are characters; BOS is token 1. `script` is what each generation answers, step by step."""

    def __init__(self) -> None:
        self.facts = FACTS
        self.loading_ns = (0, 0)
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
    def generating(self, order: Generate) -> Iterator["ScriptedStream"]:
        """The script's steps. Leaving before the last one is a cancel."""
        self._is_over = False
        try:
            yield ScriptedStream(self._steps(order))
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


class ScriptedStream(NamedTuple):
    """Steps as a stream gives them."""

    steps: AsyncIterator[list[Event]]
    growths: int = 0

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        return self.steps


class ScriptedScheduler:
    """Hands out one scripted runner and notes what it is asked."""

    def __init__(self) -> None:
        self.runner = ScriptedRunner()
        self.calls: list[tuple[object, ...]] = []
        self.rows: list[LoadedModel] = []
        self.metrics = Metrics()
        self.sizes = RecentSizes()
        self.holds = ModelHolds()
        self.error: Exception | None = None
        self.leases = 0

    @contextlib.asynccontextmanager
    async def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options | None = None,
        also: LoadOptions | None = None,
        role: RunnerRole = RunnerRole.SHARED,
    ) -> AsyncIterator[ScriptedRunner]:
        self.calls.append(("lease", model.name, keep_alive_s))
        if self.error is not None:
            raise self.error
        self.leases += 1
        try:
            yield self.runner
        finally:
            self.leases -= 1

    def load_options_of(self, model: Model) -> None:
        return None

    def replicas(self) -> tuple[()]:
        return ()

    def count_idle(self, *, but: Model) -> int:
        return 0

    def count_busy(self) -> int:
        return 0

    async def unload(self, model: Model) -> None:
        self.calls.append(("unload", model.name))

    async def loaded(self) -> list[LoadedModel]:
        return self.rows

    async def describe(self) -> list[LoadedModel]:
        return self.rows

    def count_queued(self) -> int:
        return 0

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

    async def render(self, job: RenderJob) -> str:
        return job.run()

    async def check(self, schema: str) -> None:
        CheckSchema(schema=schema).run()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass


def application(settings: Settings, scheduler: Scheduler, catalog: Catalog) -> ASGIApp:
    """The application with a sandbox that is none, and the store that the settings name."""
    store = Store(settings.store_dir)
    services = Services(settings, scheduler, catalog, InProcess(), InProcess())
    return create_app(services, Library(store, catalog, Transfers(store), scheduler), Observing(settings, scheduler))


@dataclass
class Server:
    """The application over a scripted scheduler, with requests as plain calls."""

    catalog: Catalog
    scheduler: ScriptedScheduler
    settings: Settings = field(default_factory=lambda: Settings(resume_attempts=1, store_dir=Path("/nonexistent")))
    client: tuple[str, int] = ("127.0.0.1", 5)

    @property
    def runner(self) -> ScriptedRunner:
        return self.scheduler.runner

    def app(self) -> Any:
        return application(self.settings, cast(Scheduler, self.scheduler), self.catalog)

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
