"""Pulling from a scripted registry: what comes, what is said, what stays, and what is asked of the registry."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.registry.scripted import REPOSITORY, Exchange, ScriptedRegistry, digest, layer, manifest
from tests.registry.transferring import LIMITS, check_store, partials, processes, transfer
from tests.waiting import settle, until

from swell.errors import (
    InsecureProtocolError,
    InvalidRequestError,
    NotInRegistryError,
    RegistryStatusError,
    RegistryUnreachableError,
    ServerStoppingError,
    StoreError,
    TensorModelError,
    TransferLostError,
)
from swell.registry import transfers as transfers_module
from swell.registry.parts import plan_parts
from swell.registry.transfers import Transfers
from swell.store.names import RemoteName, parse_remote_name
from swell.store.progress import Progress
from swell.store.store import Store

pytestmark = pytest.mark.slow

WEIGHTS = random.Random(1).randbytes(3_000_000)
LICENSE = b"Do what you like."
CONFIG = b'{"model_format":"gguf"}'


def name(registry: ScriptedRegistry, tag: str = "latest") -> str:
    return f"{registry.host}/{REPOSITORY}:{tag}"


def manifest_path(folder: Path, registry: ScriptedRegistry, tag: str = "latest") -> Path:
    return folder / "manifests" / registry.host / REPOSITORY / tag


def last_lines(lines: list[Progress]) -> list[Progress]:
    """Of each blob and status, the last one."""
    return list({line.digest or line.status: line for line in lines}.values())


def test_a_pull_says_what_ollama_says_and_leaves_what_ollama_leaves(registry: ScriptedRegistry, folder: Path) -> None:
    made = registry.add([WEIGHTS, LICENSE, CONFIG])
    lines = transfer(folder, name(registry))
    layers = [(digest(content), len(content)) for content in (WEIGHTS, LICENSE, CONFIG)]
    assert last_lines(lines) == [
        Progress("pulling manifest"),
        *(Progress(f"pulling {which[7:19]}", which, size, size) for which, size in layers),
        Progress("verifying sha256 digest"),
        Progress("writing manifest"),
        Progress("success"),
    ]
    completed = [line.completed for line in lines if line.digest == digest(WEIGHTS)]
    assert completed == sorted(completed)
    check_store(folder)
    assert manifest_path(folder, registry).read_bytes() == made
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        f"manifests/{registry.host}/{REPOSITORY}/latest",
        *(f"blobs/{which.replace(':', '-')}" for which, _ in layers),
    }
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}


def test_a_large_blob_comes_in_parts_side_by_side(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    transfer(folder, name(registry))
    ranges = {asked.headers["Range"] for asked in registry.asked if "Range" in asked.headers}
    parts = plan_parts(len(WEIGHTS), LIMITS)
    assert len(parts) == 16
    assert ranges == {f"bytes={part.offset}-{part.offset + part.size - 1}" for part in parts}
    assert all(asked.headers["User-Agent"].startswith("ollama/") for asked in registry.asked)
    assert all(asked.headers["Accept-Encoding"] == "identity" for asked in registry.asked)


def test_what_is_there_is_not_asked_for(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    transfer(folder, name(registry))
    registry.asked.clear()
    lines = transfer(folder, name(registry))
    assert [asked.path.split("/")[4] for asked in registry.asked] == ["manifests"]
    assert [line for line in lines if line.digest == digest(WEIGHTS)] == [
        Progress(f"pulling {digest(WEIGHTS)[7:19]}", digest(WEIGHTS), len(WEIGHTS), len(WEIGHTS))
    ]


def test_a_tag_that_moves_leaves_nothing_of_its_old_model(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, LICENSE, CONFIG])
    transfer(folder, name(registry))
    registry.add([b"other weights", LICENSE, CONFIG])
    transfer(folder, name(registry))
    check_store(folder)
    kept = {digest(content).replace(":", "-") for content in (b"other weights", LICENSE, CONFIG)}
    assert {path.name for path in folder.glob("blobs/*")} == kept


def test_empty_layers_and_layers_twice(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([b"x", b"", b"x", CONFIG])
    transfer(folder, name(registry))
    check_store(folder)
    assert len(list(folder.glob("blobs/*"))) == 3


def test_what_isnt_in_the_registry(registry: ScriptedRegistry, folder: Path) -> None:
    with pytest.raises(NotInRegistryError, match=r"^pull model manifest: file does not exist$"):
        transfer(folder, name(registry))
    assert not list(folder.rglob("*"))


def test_a_refusal_is_told_with_its_beginning(registry: ScriptedRegistry, folder: Path) -> None:
    def script(exchange: Exchange) -> bool:
        return exchange.reply(500, b"out of \x1b[31mpaper\n" + b"x" * 100_000)

    registry.script = script
    with pytest.raises(RegistryStatusError, match=r"^pull model manifest: 500: out of  \[31mpaper x{1000,2100}$"):
        transfer(folder, name(registry))


def test_models_of_tensors_are_refused(registry: ScriptedRegistry, folder: Path) -> None:
    registry.manifests["latest"] = manifest(layer(b"x", "application/vnd.ollama.image.tensor"))
    with pytest.raises(TensorModelError, match=r"^this model requires MLX support, but the MLX runtime is not"):
        transfer(folder, name(registry))


def test_plain_http_must_be_asked_for(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    with pytest.raises(InsecureProtocolError, match=r"^insecure protocol http$"):
        transfer(folder, f"http://{name(registry)}", insecure=False)
    with pytest.raises(RegistryUnreachableError, match=r"(?i)ssl"):
        transfer(folder, name(registry), insecure=False)
    assert transfer(folder, f"http://{name(registry)}")[-1] == Progress("success")


@pytest.mark.parametrize("host", ["nobody.invalid", "127.0.0.1:1"])
def test_a_host_that_cant_be_reached(folder: Path, host: str) -> None:
    with pytest.raises(RegistryUnreachableError, match=rf"connection to {host.partition(':')[0]} failed: .*try again"):
        transfer(folder, f"{host}/a/b")


def test_a_host_that_is_none(folder: Path) -> None:
    with pytest.raises(InvalidRequestError, match="invalid model name"):
        transfer(folder, "a:b:c/d/e")


def test_the_proxy_of_the_environment_is_used(
    registry: ScriptedRegistry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add([WEIGHTS, CONFIG])
    monkeypatch.setenv("HTTP_PROXY", f"http://{registry.host}")
    transfer(folder, f"registry.invalid/{REPOSITORY}")
    check_store(folder)
    assert all(asked.path.startswith("http://registry.invalid/v2/") for asked in registry.asked)


def test_a_blob_may_be_elsewhere(registry: ScriptedRegistry, folder: Path) -> None:
    """First on the same host, then on another one; each part is asked for there."""
    registry.add([WEIGHTS, CONFIG])
    with ScriptedRegistry().serving() as elsewhere:
        elsewhere.blobs = registry.blobs

        def script(exchange: Exchange) -> bool:
            if exchange.target.startswith("/v2/") and "/blobs/" in exchange.target:
                exchange.reply(307, Location=f"/moved{exchange.target}")
            elif exchange.target.startswith("/moved/"):
                exchange.reply(307, Location=f"http://{elsewhere.host}{exchange.target.removeprefix('/moved')}")
            else:
                return False
            return True

        registry.script = script
        transfer(folder, name(registry))
        check_store(folder)
        assert elsewhere.sent_bytes == len(WEIGHTS) + len(CONFIG)


def test_a_registry_without_ranges(registry: ScriptedRegistry, folder: Path) -> None:
    """It sends all, whatever is asked for; once it breaks off, and then begins again."""
    registry.add([WEIGHTS, CONFIG])
    broken = iter([1_000_000])

    def script(exchange: Exchange) -> bool:
        if digest(WEIGHTS) not in exchange.target:
            return False
        count = len(WEIGHTS) if "Range" in exchange.headers else next(broken, len(WEIGHTS))
        exchange.reply(200, WEIGHTS[:count], Content_Length=str(len(WEIGHTS)))
        exchange.close_connection = True
        return True

    registry.script = script
    transfer(folder, name(registry))
    check_store(folder)
    assert partials(folder) == []


def test_parts_are_tried_again(registry: ScriptedRegistry, folder: Path) -> None:
    """After a refusal that passes, and after a connection that breaks."""
    registry.add([WEIGHTS, CONFIG])
    asked = Counter[str]()

    def script(exchange: Exchange) -> bool:
        part = exchange.target + exchange.headers.get("Range", "")
        asked[part] += "/blobs/" in exchange.target
        match asked[part]:
            case 1:
                exchange.reply(503, b"later")
            case 2:
                exchange.close_connection = True
            case _:
                return False
        return True

    registry.script = script
    transfer(folder, name(registry))
    check_store(folder)


def test_a_part_that_never_comes_ends_the_pull_and_the_rest_stays(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    last = plan_parts(len(WEIGHTS), LIMITS)[-1]

    def script(exchange: Exchange) -> bool:
        if f"bytes={last.offset}-" not in exchange.headers.get("Range", ""):
            return False
        return exchange.reply(503, b"never")

    registry.script = script
    with pytest.raises(RegistryStatusError, match=r"^503: never$"):
        transfer(folder, name(registry))
    assert len(partials(folder)) == 1 + 16
    registry.script = None
    registry.sent_bytes = 0
    transfer(folder, name(registry))
    check_store(folder)
    assert partials(folder) == []
    assert registry.sent_bytes == last.size + len(CONFIG)


def test_a_pull_goes_on_with_what_ollama_has_begun(registry: ScriptedRegistry, folder: Path) -> None:
    """Ollama's files have no blanks at their ends, and their parts may be cut differently."""
    registry.add([WEIGHTS, CONFIG])
    partial = folder / "blobs" / f"{digest(WEIGHTS).replace(':', '-')}-partial"
    partial.parent.mkdir(parents=True)
    half = 1_400_000
    partial.write_bytes(WEIGHTS[:1_000_000].ljust(half, b"\0") + WEIGHTS[half:])
    rest = len(WEIGHTS) - half
    for part in ({"N": 0, "Offset": 0, "Size": half, "Completed": 1_000_000},
                 {"N": 1, "Offset": half, "Size": rest, "Completed": rest}):  # fmt: skip
        partial.with_name(f"{partial.name}-{part['N']}").write_text(json.dumps(part) + "\n")
    transfer(folder, name(registry))
    check_store(folder)
    assert registry.sent_bytes == half - 1_000_000 + len(CONFIG)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda partial: partial.unlink(),
        lambda partial: partial.write_bytes(b"short"),
        lambda partial: partial.with_name(f"{partial.name}-1").write_bytes(b""),
        lambda partial: partial.with_name(f"{partial.name}-1").unlink(),
        lambda partial: partial.with_name(f"{partial.name}-2").write_text('{"N":2,"Offset":9,"Size":1,"Completed":1}'),
    ],
)
def test_what_cant_be_gone_on_with_is_begun_anew(
    registry: ScriptedRegistry, folder: Path, spoil: Callable[[Path], None]
) -> None:
    registry.add([WEIGHTS, CONFIG])
    partial = folder / "blobs" / f"{digest(WEIGHTS).replace(':', '-')}-partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(WEIGHTS)
    for part in plan_parts(len(WEIGHTS), LIMITS):
        claim = {"N": part.number, "Offset": part.offset, "Size": part.size, "Completed": part.size}
        partial.with_name(f"{partial.name}-{part.number}").write_text(json.dumps(claim))
    spoil(partial)
    transfer(folder, name(registry))
    check_store(folder)
    assert partials(folder) == []
    assert registry.sent_bytes == len(WEIGHTS) + len(CONFIG)


def test_a_blob_of_another_size_is_not_overwritten(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG])
    blob = folder / "blobs" / digest(WEIGHTS).replace(":", "-")
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"short")
    with pytest.raises(StoreError, match="it has 5 bytes, and 3000000 in the manifest"):
        transfer(folder, name(registry))
    assert blob.read_bytes() == b"short"


def test_layers_that_vanish_before_the_end_are_pulled_again(
    registry: ScriptedRegistry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add([WEIGHTS, CONFIG])
    commit, commits = Store.commit, 0

    def spoiled(store: Store, *arguments: object) -> None:
        nonlocal commits
        commits += 1
        if commits == 1:
            store.blobs.path(digest(CONFIG)).unlink()
        commit(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "commit", spoiled)
    assert transfer(folder, name(registry))[-1] == Progress("success")
    check_store(folder)
    assert commits == 2


# --- several at a time -----------------------------------------------------------------------------------------


class Reading:
    """Somebody who pulls."""

    def __init__(self, transfers: Transfers, remote: RemoteName) -> None:
        self.lines: list[Progress] = []
        self.task = asyncio.create_task(self._read(transfers, remote))

    async def _read(self, transfers: Transfers, remote: RemoteName) -> None:
        async with contextlib.aclosing(transfers.pull(remote, insecure=True)) as lines:
            async for line in lines:
                self.lines.append(line)

    def has_begun(self) -> bool:
        return any(line.completed for line in self.lines)


def test_pulls_of_one_name_are_one(registry: ScriptedRegistry, folder: Path) -> None:
    """It goes on when one of two has left, and stops when both have."""
    registry.add([WEIGHTS, CONFIG])
    remote = parse_remote_name(name(registry))

    async def run() -> None:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        registry.on_sent = lambda sent: (
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result() and None if sent > 1_000_000 else None
        )
        transfers = Transfers(Store(folder), limits=LIMITS)
        readers = [Reading(transfers, remote) for _ in range(2)]
        await until(lambda: all(reader.has_begun() for reader in readers), "both pulls have begun")
        assert len(processes()) == 1
        readers[0].task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await readers[0].task
        assert len(processes()) == 1
        gate.set()
        await readers[1].task
        assert readers[1].lines[-1] == Progress("success")
        assert processes() == []

    asyncio.run(run())
    check_store(folder)
    assert registry.sent_bytes == len(WEIGHTS) + len(CONFIG)


def test_pulls_of_two_names_share_a_download(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([WEIGHTS, CONFIG], "one")
    registry.add([WEIGHTS, CONFIG], "two")

    async def run() -> None:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        registry.on_sent = lambda sent: (
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result() and None if sent > 1_000_000 else None
        )
        transfers = Transfers(Store(folder), limits=LIMITS)
        readers = [Reading(transfers, parse_remote_name(name(registry, tag))) for tag in ("one", "two")]
        await until(lambda: all(reader.has_begun() for reader in readers), "both pulls have begun")
        assert len(processes()) == 2
        gate.set()
        for reader in readers:
            await reader.task
            assert reader.lines[-1] == Progress("success")

    asyncio.run(run())
    check_store(folder)
    assert registry.sent_bytes == len(WEIGHTS) + len(CONFIG)


def hang(exchange: Exchange) -> bool:
    """Answer nothing until the client leaves."""
    return exchange.rfile.read(1) == b""


def test_the_last_who_leaves_stops_the_pull(registry: ScriptedRegistry, folder: Path) -> None:
    registry.script = hang

    async def run() -> None:
        transfers = Transfers(Store(folder), limits=LIMITS)
        lines = transfers.pull(parse_remote_name(name(registry)), insecure=True)
        await anext(lines)
        (process,) = processes()
        assert process.nice() == 19
        await lines.aclose()
        assert processes() == []

    asyncio.run(run())


def test_a_process_that_is_stuck_is_killed(
    registry: ScriptedRegistry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.script = hang
    monkeypatch.setattr(transfers_module, "_EXIT_WAIT_S", 0.1)

    async def run() -> None:
        transfers = Transfers(Store(folder), limits=LIMITS)
        lines = transfers.pull(parse_remote_name(name(registry)), insecure=True)
        await anext(lines)
        processes()[0].suspend()
        await lines.aclose()
        assert processes() == []

    asyncio.run(run())


def test_who_waits_when_the_server_stops_is_told(registry: ScriptedRegistry, folder: Path) -> None:
    registry.script = hang

    async def run() -> None:
        transfers = Transfers(Store(folder), limits=LIMITS)
        readers = [Reading(transfers, parse_remote_name(name(registry))) for _ in range(2)]
        await settle()
        await transfers.close()
        for reader in readers:
            with pytest.raises(ServerStoppingError):
                await reader.task
        assert processes() == []

    asyncio.run(run())


def test_a_process_that_is_lost_is_an_error_of_its_own(registry: ScriptedRegistry, folder: Path) -> None:
    def script(exchange: Exchange) -> bool:
        for process in processes():
            process.kill()
        return True

    registry.script = script
    with pytest.raises(TransferLostError, match=r"exit code -9.*goes on where it stopped"):
        transfer(folder, name(registry))
