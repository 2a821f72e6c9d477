"""The file of sizes: what is written is read, bounded, and whatever else is in its place is an error and stays."""

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import SizeFileError
from swell.sizes import file as size_file
from swell.sizes.file import KEPT_S, SizeFile
from swell.sizes.recent import MODELS_MAX, SIZES_MAX, TurnSize

NOW_S = int(time.time())
SIZE = TurnSize("ab" * 32, 700, NOW_S)
SIZES = st.lists(st.builds(TurnSize, st.sampled_from("abc"), st.integers(1, 2**31 - 1), st.just(NOW_S)), max_size=150)


@pytest.fixture
def file(tmp_path: Path) -> SizeFile:
    return SizeFile(tmp_path / "state of 100%?" / "swell" / "sizes.db")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_file, "BUSY_S", 0.1)


WRITER = """
import sys
from pathlib import Path
from swell.sizes.file import SizeFile
from swell.sizes.recent import TurnSize
for number in range(20):
    SizeFile(Path(sys.argv[1])).append([TurnSize(sys.argv[2], number + 1, int(sys.argv[3]))])
"""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@hypothesis.settings(max_examples=20)
@given(batches=st.lists(SIZES, max_size=4))
def test_what_is_written_is_read_up_to_so_many_of_each_model(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[TurnSize]]
) -> None:
    file = SizeFile(tmp_path_factory.mktemp("sizes") / "sizes.db")
    for batch in batches:
        file.append(batch)
    written = [size for batch in batches for size in batch]
    found = file.read()
    for model in "abc":
        expected = [size for size in written if size.model == model][-SIZES_MAX:]
        assert [size for size in found if size.model == model] == expected
    assert found == [size for size in written if size in found][-len(found) :] or not found


def test_nothing_is_made_by_reading(file: SizeFile) -> None:
    assert file.read() == []
    assert not file.exists()
    assert not file.path.parent.exists()


def test_it_is_for_this_user_only_and_nothing_lies_beside_it(file: SizeFile) -> None:
    before = os.umask(0)
    try:
        file.append([SIZE])
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.path.parent.iterdir()] == ["sizes.db"]
    with opened(file.path) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(sizes)")]
    assert columns == ["id", "model", "tokens", "ended_s"]


def test_it_stays_small_and_forgets_what_is_old(file: SizeFile) -> None:
    models = [f"{number:064x}" for number in range(MODELS_MAX + 6)]
    file.append([TurnSize(model, 1, NOW_S) for model in models for _ in range(SIZES_MAX + 20)])
    file.append([SIZE, SIZE._replace(ended_s=NOW_S - KEPT_S - 1)])
    assert file.path.stat().st_size < 2_000_000
    found = file.read()
    assert {size.model for size in found} == {*models[7:], SIZE.model}
    assert len(found) == (MODELS_MAX - 1) * SIZES_MAX + 1


def test_several_servers_lose_nothing(file: SizeFile) -> None:
    servers = [subprocess.Popen([sys.executable, "-c", WRITER, file.path, model, str(NOW_S)]) for model in "abc"]
    assert [server.wait() for server in servers] == [0, 0, 0]
    found = file.read()
    for model in "abc":
        assert [size.tokens for size in found if size.model == model] == list(range(1, 21))


def foreign(path: Path) -> None:
    with opened(path) as connection:
        connection.execute("CREATE TABLE recipes (title)")


def newer(path: Path) -> None:
    SizeFile(path).append([SIZE])
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 2")


def without_a_table(path: Path) -> None:
    SizeFile(path).append([SIZE])
    with opened(path) as connection:
        connection.execute("DROP TABLE sizes")


def torn(path: Path) -> None:
    SizeFile(path).append([SIZE] * 100)
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


BROKEN: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("this is no database, it is a letter to nobody in particular" * 10),
    "folder": lambda path: path.mkdir(),
    "foreign": foreign,
    "newer": newer,
    "without a table": without_a_table,
    "torn": torn,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_not_such_a_file_is_refused_and_stays(file: SizeFile, kind: str) -> None:
    file.path.parent.mkdir(parents=True)
    BROKEN[kind](file.path)
    before = b"" if file.path.is_dir() else file.path.read_bytes()
    for use in (file.read, lambda: file.append([SIZE])):
        with pytest.raises(SizeFileError, match=r"sizes\.db: "):
            use()
    assert before == (b"" if file.path.is_dir() else file.path.read_bytes())


def test_rows_that_make_no_sense_are_skipped(file: SizeFile) -> None:
    file.append([SIZE])
    with opened(file.path) as connection:
        for model, tokens, ended_s in (
            *((b"\xff", 1, NOW_S), ("a", 0, NOW_S), ("a", -5, NOW_S), ("a", 2**40, NOW_S)),
            *(("a", "many", NOW_S), ("a", 1.5, NOW_S), ("a", b"", NOW_S), ("a", 1, "never")),
        ):
            connection.execute("INSERT INTO sizes (model, tokens, ended_s) VALUES (?, ?, ?)", (model, tokens, ended_s))
    assert file.read() == [SIZE]


def test_a_locked_file_can_be_read_and_written_later(file: SizeFile) -> None:
    file.append([SIZE])
    with opened(file.path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert file.read() == [SIZE]
        with pytest.raises(SizeFileError, match="locked"):
            file.append([SIZE])
        connection.execute("ROLLBACK")
    file.append([SIZE])
    assert file.read() == [SIZE, SIZE]


def test_a_full_disk_takes_all_or_nothing(file: SizeFile) -> None:
    file.append([SIZE])
    written = file.path.stat().st_size
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, unlimited[1]))
    try:
        with pytest.raises(SizeFileError):
            file.append([SIZE] * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, ignored)
    assert file.read() == [SIZE]
    file.append([SIZE])
    assert file.read() == [SIZE, SIZE]


def test_what_may_not_be_written_is_read_all_the_same(file: SizeFile) -> None:
    file.append([SIZE])
    file.path.chmod(0o400)
    assert file.read() == [SIZE]
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*powerless, sys.executable, "-c", WRITER, str(file.path), "a", str(NOW_S)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("attempt to write a readonly database")
    assert file.read() == [SIZE]


def test_a_folder_that_cant_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(SizeFileError, match="Not a directory"):
        SizeFile(tmp_path / "state" / "swell" / "sizes.db").append([SIZE])
