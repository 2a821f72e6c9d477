"""The store: what its changes leave behind, also when they are broken off."""

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import (
    DigestMismatchError,
    InvalidDigestError,
    InvalidRequestError,
    MissingLayersError,
    ModelNotFoundError,
    StoreError,
)
from swell.store.digests import parse_digest
from swell.store.names import ModelName, parse_name
from swell.store.store import Store

LAYER = "application/vnd.ollama.image."
HOUR_S = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def manifest(*digests: str) -> bytes:
    layers = [{"mediaType": f"{LAYER}license", "digest": digest, "size": 1} for digest in digests]
    return json.dumps({"schemaVersion": 2, "layers": layers}).encode()


def add(store: Store, name: str, *contents: bytes) -> list[str]:
    digests = [store.blobs.write(content) for content in contents]
    store.commit(parse_name(name), manifest(*digests))
    return digests


def names(store: Store) -> list[str]:
    return [name.short for name, _ in store.manifests.files()]


def files(store: Store) -> list[str]:
    return sorted(path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if path.is_file())


def make_old(path: Path, age_s: float = 2 * HOUR_S) -> None:
    then = time.time() - age_s
    os.utime(path, (then, then))


def test_a_blob_is_named_by_its_contents(store: Store) -> None:
    digest = store.blobs.write(b"hello")
    assert digest == f"sha256:{hashlib.sha256(b'hello').hexdigest()}"
    assert store.blobs.path(digest).read_bytes() == b"hello"
    assert store.blobs.write(b"hello") == digest
    assert len(list(store.blobs.folder.iterdir())) == 1


def test_a_blob_that_is_not_what_was_said_leaves_nothing(store: Store) -> None:
    other = f"sha256:{hashlib.sha256(b'other').hexdigest()}"
    with store.blobs.incoming() as blob:
        blob.write(b"hello")
        with pytest.raises(DigestMismatchError):
            blob.finish(other)
    assert list(store.blobs.folder.iterdir()) == []


def test_models_share_blobs_and_the_last_one_takes_them_along(store: Store) -> None:
    shared, own = add(store, "one", b"shared", b"own")
    add(store, "two", b"shared")
    store.delete(parse_name("ONE"))
    assert names(store) == ["two:latest"]
    assert store.blobs.find(shared) is not None
    assert store.blobs.find(own) is None
    store.delete(parse_name("two"))
    assert files(store) == []
    assert sorted(path.name for path in store.folder.rglob("*")) == ["blobs", "manifests"]


def test_what_a_new_manifest_no_longer_needs_is_deleted(store: Store) -> None:
    before, _ = add(store, "one", b"before", b"both")
    add(store, "One:LATEST", b"after", b"both")
    assert names(store) == ["one:latest"]
    assert store.blobs.find(before) is None


def test_without_pruning_nothing_is_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path, prunes=False)
    (digest,) = add(store, "one", b"content")
    make_old(store.blobs.path(digest))
    store.delete(parse_name("one"))
    store.prune()
    assert store.blobs.find(digest) is not None


def test_files_of_loaded_models_stay_until_they_are_unloaded(tmp_path: Path) -> None:
    in_use: list[Path] = []
    store = Store(tmp_path, in_use=lambda: in_use)
    (digest,) = add(store, "one", b"weights")
    in_use.append(store.blobs.path(digest))
    store.delete(parse_name("one"))
    assert store.unused()
    store.collect()
    assert store.blobs.find(digest) is not None
    in_use.clear()
    store.collect()
    assert store.blobs.find(digest) is None
    assert not store.unused()


def test_a_file_that_is_needed_again_is_kept(tmp_path: Path) -> None:
    in_use: list[Path] = []
    store = Store(tmp_path, in_use=lambda: in_use)
    (digest,) = add(store, "one", b"weights")
    in_use.append(store.blobs.path(digest))
    store.delete(parse_name("one"))
    add(store, "two", b"weights")
    in_use.clear()
    store.collect()
    assert store.blobs.find(digest) is not None


def test_a_manifest_without_its_blobs_is_refused(store: Store) -> None:
    missing = f"sha256:{'0' * 64}"
    with pytest.raises(MissingLayersError) as error:
        store.commit(parse_name("one"), manifest(store.blobs.write(b"there"), missing))
    assert error.value.digests == [missing]
    assert names(store) == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b'{"layers": 3}', manifest("sha256:1"), manifest("md5:" + "0" * 64)]
)
def test_what_is_no_manifest_is_refused(store: Store, content: bytes) -> None:
    with pytest.raises(StoreError):
        store.commit(parse_name("one"), content)
    assert names(store) == []


def test_copies_are_the_same_bytes(store: Store) -> None:
    add(store, "one", b"content")
    store.copy(parse_name("one"), parse_name("hf.co/me/two:v1"))
    one, two = (path.read_bytes() for _, path in store.manifests.files())
    assert one == two
    with pytest.raises(ModelNotFoundError):
        store.copy(parse_name("three"), parse_name("four"))


def test_pruning_deletes_what_was_left_behind(store: Store) -> None:
    (kept,) = add(store, "one", b"kept")
    old, young = store.blobs.write(b"old"), store.blobs.write(b"young")
    for digest in (kept, old):
        make_old(store.blobs.path(digest))
    (store.blobs.folder / "swell-left").write_bytes(b"half")
    partial = store.blobs.partial(f"sha256:{'1' * 64}")
    partial.write_bytes(b"beginning")
    make_old(partial, 8 * 24 * HOUR_S)
    (store.manifests.folder / "registry.ollama.ai/library/one/.swell-left").write_bytes(b"half")
    (store.manifests.folder / "registry.ollama.ai/library/empty").mkdir()
    store.prune()
    assert {path.name for path in store.blobs.folder.iterdir()} == {
        store.blobs.path(kept).name,
        store.blobs.path(young).name,
    }
    assert [path.name for path in store.manifests.folder.glob("*/*/*")] == ["one"]
    assert store.blobs.find(old) is None


def test_pruning_leaves_what_is_being_written(store: Store) -> None:
    add(store, "one", b"kept")
    with store.blobs.incoming() as blob:
        blob.write(b"half")
        store.prune()
        assert blob.finish() == store.blobs.write(b"half")


@pytest.mark.parametrize("name", ["sha256-" + "1" * 64 + "-partial", "sha256-" + "1" * 64 + "-partial-3"])
def test_while_something_is_downloaded_no_blob_is_pruned(store: Store, name: str) -> None:
    """The layers of a pull that aren't named yet may be a real Ollama's."""
    add(store, "one", b"kept")
    unused = store.blobs.write(b"unused")
    make_old(store.blobs.path(unused))
    (store.blobs.folder / name).write_bytes(b"")
    store.prune()
    assert store.blobs.find(unused) is not None


def test_what_a_damaged_manifest_speaks_of_is_kept(store: Store) -> None:
    (digest,) = add(store, "one", b"content")
    (_, path) = next(store.manifests.files())
    path.write_text(f"no JSON, but {digest}")
    make_old(store.blobs.path(digest))
    store.prune()
    assert store.blobs.find(digest) is not None


def test_a_store_that_is_not_there_is_left_so(store: Store) -> None:
    store.prune()
    assert not store.folder.exists()


def test_changes_wait_for_each_other(store: Store) -> None:
    add(store, "one", b"content")
    descriptor = os.open(store.manifests.folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    deleting = threading.Thread(target=store.delete, args=(parse_name("one"),))
    deleting.start()
    assert names(store) == ["one:latest"]
    os.close(descriptor)
    deleting.join()
    assert names(store) == []


def test_an_error_of_the_file_system_says_where(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StoreError, match="models"):
        Store(tmp_path / "models").commit(parse_name("one"), manifest())


CALLS = ("open", "replace", "fsync", "unlink", "rmdir")
"""Functions of `os` before any of which the process may end."""


class _Crash(BaseException):
    pass


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "delete", "copy"]), st.integers(0, 2), st.integers(0, 2)), max_size=6
    ),
    stops_at=st.integers(0, 40),
)
def test_a_crash_at_any_call_leaves_a_valid_store(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], stops_at: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store") / "models")
    left = stops_at
    real: dict[str, Any] = {name: getattr(os, name) for name in CALLS}

    def crashing(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                raise _Crash
            left -= 1
            return real[name](*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(_Crash):
        for name in CALLS:
            patch.setattr(os, name, crashing(name))
        for what, first, second in steps:
            with contextlib.suppress(ModelNotFoundError):
                _do(store, what, f"model{first}", f"model{second}")
    for _, path in store.manifests.files():
        _, found = store.read(path)
        for layer in found.all_layers:
            blob = store.blobs.find(layer.digest)
            assert blob is not None
            assert parse_digest(layer.digest).endswith(hashlib.sha256(blob.read_bytes()).hexdigest())
    for path in store.folder.rglob("*"):
        make_old(path)
    store.prune()
    if store.blobs.folder.is_dir():
        needed = {digest.replace(":", "-") for digest in store.manifests.mentioned()}
        assert {path.name for path in store.blobs.folder.iterdir()} == needed


def _do(store: Store, what: str, first: str, second: str) -> None:
    match what:
        case "add":
            add(store, first, first.encode(), second.encode())
        case "delete":
            store.delete(parse_name(first))
        case "copy":
            store.copy(parse_name(first), parse_name(second))


@given(st.text() | st.from_regex(r"sha256[:-][0-9a-fA-F]{60,70}"))
def test_only_digests_are_digests(text: str) -> None:
    try:
        digest = parse_digest(text)
    except InvalidDigestError:
        return
    assert digest[:7] == "sha256:"
    assert len(digest) == 71
    assert digest[7:].isalnum()


@given(st.text(alphabet=st.characters(codec="utf-8")) | st.from_regex(r"[./\w:@-]{1,30}"))
def test_no_name_leads_out_of_the_store(text: str) -> None:
    try:
        name: ModelName = parse_name(text)
    except InvalidRequestError:
        return
    folder = Path("/store/manifests")
    path = Store(Path("/store")).manifests.path(name)
    assert len(path.relative_to(folder).parts) == 4
    assert os.path.normpath(path) == str(path)
