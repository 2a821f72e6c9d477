"""Sizes on their way from turns to memory and to a file, and all that may be wrong with that."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from swell.errors import SizeFileError
from swell.metrics.events import TurnEnded
from swell.metrics.observer import Metrics
from swell.observe import size_keeping
from swell.observe.size_keeping import SizeKeeper
from swell.sizes.file import SizeFile
from swell.sizes.recent import RecentSizes, TurnSize


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_keeping, "WRITE_PAUSE_S", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> SizeFile:
    return SizeFile(tmp_path / "sizes.db")


class World:
    """A server's memory and its keeper."""

    def __init__(self, file: SizeFile | None) -> None:
        self.metrics, self.sizes = Metrics(), RecentSizes()
        self.keeper = SizeKeeper(self.metrics, self.sizes, file)

    def answers(self, *sizes: int, key: str = "a") -> None:
        """Turns end, of so many tokens each."""
        for tokens in sizes:
            event = TurnEnded(
                request="r",
                model="m",
                model_key=key,
                prompt_tokens=1,
                cached_tokens=0,
                generated_tokens=1,
                size_tokens=tokens,
            )
            self.metrics.report(event)

    @property
    def known(self) -> list[int]:
        return list(self.sizes.of("a"))


def lived(file: SizeFile | None, story: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    """A server's life, from its start to its end."""

    async def live() -> World:
        world = World(file)
        await world.keeper.start()
        try:
            await story(world)
        finally:
            await world.keeper.close()
        return world

    return asyncio.run(live())


def tokens(file: SizeFile) -> list[int]:
    return [size.tokens for size in file.read()]


async def nothing(world: World) -> None:
    """It starts and ends."""


def test_what_one_server_writes_the_next_one_knows(file: SizeFile) -> None:
    async def story(world: World) -> None:
        world.answers(5, 6)
        world.answers(0)  # it has failed, or its client has left
        world.answers(9, key="")
        assert world.known == [5, 6]

    lived(file, story)
    assert file.read() == [TurnSize("a", 5, file.read()[0].ended_s), TurnSize("a", 6, file.read()[1].ended_s)]
    assert lived(file, nothing).known == [5, 6]


def test_without_a_file_it_is_known_as_long_as_the_server_lives() -> None:
    async def story(world: World) -> None:
        world.answers(5)
        assert world.known == [5]

    lived(None, story)


def test_who_learns_nothing_has_no_file(file: SizeFile) -> None:
    lived(file, nothing)
    assert not file.exists()


def test_that_it_was_deleted_means_to_forget(file: SizeFile) -> None:
    file.append([TurnSize("a", 7, 2**31), TurnSize("b", 8, 2**31)])

    async def story(world: World) -> None:
        world.answers(5)
        await until(lambda: len(file.read()) == 3, "it is written")
        file.path.unlink()
        world.answers(6)
        await until(lambda: world.known == [6], "it is forgotten")
        assert list(world.sizes.of("b")) == []

    lived(file, story)
    assert tokens(file) == [6]


def test_a_file_that_is_broken_costs_a_warning_and_nothing_else(
    file: SizeFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_text("this is no database" * 100)

    async def story(world: World) -> None:
        world.answers(5)
        await until(lambda: not world.keeper._unwritten, "it was tried")
        world.answers(6)
        assert world.known == [5, 6]

    lived(file, story)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "sizes.db: file is not a database" in caplog.text
    assert file.path.read_text().startswith("this is no database")


class Fragile(SizeFile):
    """Can't be written while it `is_broken`."""

    is_broken = True
    tried = 0

    def append(self, sizes: Sequence[TurnSize]) -> None:
        self.tried += 1
        if self.is_broken:
            raise SizeFileError(str(self.path), "no space left")
        super().append(sizes)


def test_what_couldnt_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Fragile(tmp_path / "sizes.db")
    monkeypatch.setattr(size_keeping, "_UNWRITTEN_MAX", 3)

    async def story(world: World) -> None:
        for number in range(1, 6):
            world.answers(number)
            await until(lambda number=number: file.tried == number, "it was tried")  # type: ignore[misc]
        file.is_broken = False
        world.answers(6)

    lived(file, story)
    assert tokens(file) == [4, 5, 6]


class Slow(SizeFile):
    """Takes as long to write as somebody wants."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_writing, self.go = threading.Event(), threading.Event()

    def append(self, sizes: Sequence[TurnSize]) -> None:
        self.is_writing.set()
        self.go.wait()
        super().append(sizes)


def test_what_comes_while_the_last_is_written_is_written_too(tmp_path: Path) -> None:
    file = Slow(tmp_path / "sizes.db")

    async def story(world: World) -> None:
        world.answers(5)
        await until(file.is_writing.is_set, "it is being written")
        world.answers(6)
        threading.Thread(target=finish, args=(world.keeper._closing,), daemon=True).start()

    def finish(closing: threading.Event) -> None:
        closing.wait()
        file.go.set()

    lived(file, story)
    assert tokens(file) == [5, 6]


class Stuck(SizeFile):
    """On a disk that doesn't answer until somebody lets it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go = threading.Event()

    def read(self) -> list[TurnSize]:
        self.go.wait()
        return super().read()


def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_keeping, "READ_LIMIT_S", 0.01)
    monkeypatch.setattr(size_keeping, "CLOSE_LIMIT_S", 0.01)
    file = Stuck(tmp_path / "sizes.db")
    file.append([TurnSize("a", 7, 2**31)])

    async def story(world: World) -> None:
        world.answers(5)
        assert world.known == [5]

    lived(file, story)  # it starts, answers and ends

    async def later(world: World) -> None:
        world.answers(6)
        file.go.set()
        await until(lambda: world.known[-1:] == [6] and world.known[0] == 7, "what is read late is learned late")

    lived(file, later)
