"""A lease of a runner in the fleet: it begins where there is least to do, and moves to where the prompt is known."""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Iterator

import msgspec

from swell.cache import CacheType
from swell.errors import (
    ModelNotFoundError,
    ModelOnNoReplicaError,
    RunnerLostError,
    ServerStoppingError,
    SwellError,
    UnexpectedError,
)
from swell.fleet.lease_connection import LeaseConnection
from swell.fleet.member import CONNECT_S, Member
from swell.fleet.membership import Membership
from swell.fleet.messages import LeaseRequest
from swell.fleet.routing import RoutedTurn
from swell.models.model import Model
from swell.protocol.framing import encode
from swell.protocol.messages import Generate, Loaded
from swell.protocol.prefixes import block_hashes
from swell.scheduler.cells import cell_bytes
from swell.supervisor.runner import Runner
from swell.supervisor.stream import GenerationStream

log = logging.getLogger(__name__)


class FleetLease:
    """A LeasedRunner. To be used after `begin`, and until `end`."""

    def __init__(self, membership: Membership, model: Model, request: LeaseRequest) -> None:
        """`request` is without a secret, which each replica has its own of."""
        self._membership = membership
        self._request = request
        self._turn = RoutedTurn(
            model=request.key,
            tokens=0,
            blocks=(),
            token_bytes=cell_bytes(model, request.also.cache_type or CacheType.F16),
            load_bytes=model.weights_bytes,
        )
        self._member: Member | None = None
        self._held = contextlib.AsyncExitStack()
        self._moving: asyncio.Task[None] | None = None

    _runner: Runner
    loading_ns: tuple[int, int]

    @property
    def facts(self) -> Loaded:
        return self._runner.facts

    @property
    def place(self) -> str:
        """The name of the replica that it is on."""
        return self._member.address.name if self._member else ""

    async def begin(self) -> None:
        """Lease a runner. Raises NoReplicaError, ModelNotFoundError or what the load ended with."""
        await self._go_to_best(self._turn)
        self.loading_ns = self._runner.loading_ns

    async def begin_at(self, member: Member) -> None:
        """Lease a runner of a certain replica. Raises as `begin` does."""
        await self._move_to(member)

    async def end(self) -> None:
        """Give it back."""
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)
        await self._held.aclose()

    def interrupt(self) -> None:
        """End what is being computed, because the server stops."""
        if self._member is not None:
            self._runner.interrupt(ServerStoppingError())

    async def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool, limit_tokens: int | None = None
    ) -> list[int]:
        return await self._runner.tokenize(
            text, add_special=add_special, parse_special=parse_special, limit_tokens=limit_tokens
        )

    async def embed(
        self, inputs: list[list[int]], *, cut_tokens: int = 0, threads: int | None = None
    ) -> list[list[float]]:
        return await self._runner.embed(inputs, cut_tokens=cut_tokens, threads=threads)

    @contextlib.contextmanager
    def generating(self, order: Generate) -> Iterator[GenerationStream]:
        """Have `order` carried out where most of it is known. What is computed ends with the lease."""
        stream = GenerationStream()
        self._moving = asyncio.create_task(self._generate(order, stream))
        try:
            yield stream
        finally:
            self._moving.cancel()

    async def _generate(self, order: Generate, stream: GenerationStream) -> None:
        try:
            tokens = [*order.prompt, *order.emitted]
            turn = dataclasses.replace(self._turn, tokens=len(tokens), blocks=block_hashes(tokens))
            await self._go_to_best(turn)
            assert self._member is not None
            self._member.note(turn.model, turn.blocks)
            self._held.enter_context(self._runner.generating(order, stream))
        except SwellError as error:
            stream.fail(error)
        except Exception as bug:
            log.exception("a turn could not be sent to a replica")
            stream.fail(UnexpectedError(repr(bug)))

    async def _go_to_best(self, turn: RoutedTurn) -> None:
        """Lease a runner where `turn` is best placed, and give the one back that there was, unless that is it."""
        absent: set[str] = set()
        while True:
            member = await self._choose(turn, absent)
            if member is self._member:
                return
            try:
                await self._move_to(member)
            except ModelNotFoundError:
                if member.address.name in absent:
                    raise ModelOnNoReplicaError(self._request.model) from None
                absent.add(member.address.name)
            else:
                return

    async def _choose(self, turn: RoutedTurn, absent: set[str]) -> Member:
        turn = dataclasses.replace(turn, avoided=frozenset(absent))
        if self._member is None:
            return await self._membership.choose(turn)
        with self._member.without(turn.model):
            return self._membership.choose_now(turn) or self._member

    async def _move_to(self, member: Member) -> None:
        async with contextlib.AsyncExitStack() as stack:
            connection = await self._connected(member)
            stack.enter_context(member.leasing(self._request.key, connection))
            request = msgspec.structs.replace(self._request, secret=member.address.secret)
            connection.writer.write(encode(request))
            try:
                runner = await Runner.attach(connection)
            except RunnerLostError:
                member.doubt()
                raise
            stack.push_async_callback(runner.stop)
            member.found(self._request.key, runner.facts.slots)
            before, self._held = self._held, stack.pop_all()
        self._member, self._runner = member, runner
        await before.aclose()

    async def _connected(self, member: Member) -> LeaseConnection:
        try:
            return await LeaseConnection.open(member.address.host, member.address.port, CONNECT_S)
        except RunnerLostError:
            member.doubt()
            raise
