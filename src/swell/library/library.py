"""The models of this machine, as they are changed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from swell.errors import InvalidRequestError, ModelNotFoundError, NoSourceError, StoreError
from swell.library.creation import Creation, Lines
from swell.library.recipe import Recipe
from swell.library.threads import FileThreads
from swell.models.catalog import Catalog
from swell.registry.transfers import Transfers
from swell.store.names import ModelName, parse_name, parse_remote_name
from swell.store.store import Store, translated

log = logging.getLogger(__name__)

_PIECE_BYTES = 1 << 20


class ModelUse(Protocol):
    """What becomes of loaded models."""

    def retire(self, files: Collection[Path]) -> None:
        """Unload the models that use any of `files` once their last requests have ended."""

    async def wait_for_change(self) -> None:
        """Returns when a model may have been unloaded, or after some time."""


class Library:
    """Creates, copies, deletes, pulls and pushes. Used from the event loop only; files are another thread's work."""

    def __init__(self, store: Store, catalog: Catalog, transfers: Transfers, use: ModelUse) -> None:
        self._store = store
        self._catalog = catalog
        self._transfers = transfers
        self._use = use
        self._threads = FileThreads()
        self._creation = Creation(store, catalog, self._threads, transfers)
        self._collecting: asyncio.Task[None] | None = None

    async def prune(self) -> None:
        """Delete what was left by processes that were killed, if that is possible."""
        try:
            await self._threads.run(self._store.prune)
        except StoreError as error:
            log.warning("unused files can't be deleted: %s", error)

    def create(self, recipe: Recipe) -> Lines:
        """Make a model, with progress. Raises what `Creation.create` does."""
        return self._collected(self._creation.create(recipe))

    def pull(self, name: str, *, insecure: bool) -> Lines:
        """Fetch a model, with progress. Raises InvalidRequestError if it can't be a name."""
        return self._collected(self._transfers.pull(parse_remote_name(name), insecure=insecure))

    def push(self, name: str, *, insecure: bool) -> Lines:
        """Bring a model to its registry, with progress. Raises InvalidRequestError if it can't be a name."""
        return self._transfers.push(parse_remote_name(name), insecure=insecure)

    async def copy(self, source: str, destination: str) -> None:
        """Give a model a second name. Raises InvalidRequestError, NoSourceError, StoreError or MissingLayersError."""
        names = [_named(text, what) for text, what in ((source, "source"), (destination, "destination"))]
        try:
            await self._threads.run(self._store.copy, *names)
        except ModelNotFoundError as error:
            if not await self._is_elsewhere(source):
                raise NoSourceError(source) from error
            async with aclosing(self._creation.create(Recipe(name=names[1], base=source))) as lines:
                async for _ in lines:
                    pass
        self._collect()

    async def delete(self, name: str) -> None:
        """Delete a model. Raises InvalidRequestError, ModelNotFoundError or StoreError."""
        parsed = _named(name, "name")
        try:
            await self._threads.run(self._store.delete, parsed)
        except ModelNotFoundError as error:
            if await self._is_elsewhere(name):
                raise InvalidRequestError(
                    f"{name} is not in the store of models, where models can be deleted"
                ) from error
            raise ModelNotFoundError(name) from error
        self._collect()

    def has_blob(self, digest: str) -> bool:
        """Whether the blob of a valid digest is in the store."""
        return self._store.blobs.find(digest) is not None

    async def receive_blob(self, digest: str, pieces: AsyncIterator[bytes]) -> None:
        """Store a blob that comes in pieces, of which a megabyte is kept. Raises DigestMismatchError or StoreError."""
        with translated(self._store.folder), self._store.blobs.incoming() as blob:
            waiting = bytearray()
            async for piece in pieces:
                waiting += piece
                if len(waiting) >= _PIECE_BYTES:
                    await self._threads.run(blob.write, waiting)
                    waiting = bytearray()
            await self._threads.run(blob.write, waiting)
            await self._threads.run(blob.finish, digest)

    async def close(self) -> None:
        """Break off what is in progress."""
        if self._collecting is not None:
            self._collecting.cancel()
        await self._transfers.close()
        self._threads.close()

    async def _collected(self, lines: Lines) -> Lines:
        """`lines`, then what they have left over."""
        async with aclosing(lines):
            async for line in lines:
                yield line
        self._collect()

    async def _is_elsewhere(self, name: str) -> bool:
        """Whether a model is here that isn't in the store."""
        try:
            await self._threads.run(self._catalog.find, name, allow_path=False)
        except ModelNotFoundError:
            return False
        return True

    def _collect(self) -> None:
        """Have blobs deleted that nobody can ask for any more, once the loaded models that have them are unloaded."""
        if self._store.unused() and (self._collecting is None or self._collecting.done()):
            self._collecting = asyncio.create_task(self._collect_unused())

    async def _collect_unused(self) -> None:
        while unused := self._store.unused():
            self._use.retire(unused)
            await self._use.wait_for_change()
            await self._threads.run(self._store.collect)


def _named(text: str, what: str) -> ModelName:
    try:
        return parse_name(text)
    except InvalidRequestError as error:
        raise InvalidRequestError(f'{what} "{text}" is invalid') from error
