"""Conversations that a slot has given up, or a runner has ended with, go on from files."""

import dataclasses
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runner.byte_models import open_byte_model
from tests.runner.harness import SHAPE, Harness
from tests.runner.limited import LimitedAdmission
from tests.tiny import ARCHITECTURES

from swell.kv.admission import OpenAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama.model import LlamaModel
from swell.protocol.messages import KeepPrefixes
from swell.runner.prefix_policy import SAVED_TOKENS_MIN, covers, is_lost, usable
from swell.runner.slot_file import load_slot, read_slots
from swell.runner.slots import common_prefix

SYSTEM = [(token * 37 + 11) % 251 for token in range(300)]
TURN = [(token * 53 + 7) % 251 for token in range(80)]
FIRST = [*SYSTEM, *TURN]
OTHERS = [[(token * factor + 3) % 251 for token in range(300)] for factor in (41, 43, 47)]
ANSWER = 60
MOST = 8

Start = Callable[..., Harness]


@pytest.fixture(scope="module", params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    with open_byte_model(request.param, tmp_path_factory.mktemp("model")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    with open_byte_model(ARCHITECTURES["llama"], tmp_path_factory.mktemp("model")) as loaded:
        yield loaded


def asked(harness: Harness, request_id: int, prompt: list[int], limit: int = ANSWER) -> list[int]:
    harness.submit_tokens(request_id, prompt, limit=limit)
    harness.run()
    return harness.emitted(request_id)


def ended(harness: Harness) -> None:
    """As the server ends a runner."""
    harness.engine.submit(KeepPrefixes(99))
    harness.engine._take_work()
    harness.store.close()


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_conversation_goes_on_in_the_next_runner(tiny: LlamaModel, tmp_path: Path) -> None:
    whole = Harness(tiny, checkpoints=MOST)
    second = [*FIRST, *asked(whole, 1, FIRST), *TURN]
    expected = asked(whole, 2, second)
    before = Harness(tiny, checkpoints=MOST, prefix_folder=tmp_path)
    asked(before, 1, FIRST)
    ended(before)
    after = Harness(tiny, checkpoints=MOST, prefix_folder=tmp_path)
    assert asked(after, 2, second)[:20] == expected[:20]
    assert after.cached_tokens(2) == len(FIRST) + ANSWER - 1
    assert after.store.check_integrity() == []
    whole.store.close()
    after.store.close()


def test_its_end_may_have_changed(tiny: LlamaModel, tmp_path: Path) -> None:
    """Checkpoints are saved, too."""
    before = Harness(tiny, checkpoints=MOST, prefix_folder=tmp_path)
    asked(before, 1, FIRST)
    ended(before)
    after = Harness(tiny, checkpoints=MOST, prefix_folder=tmp_path)
    asked(after, 2, [*FIRST, *TURN[::-1]])
    assert after.cached_tokens(2) == len(FIRST)
    assert after.store.check_integrity() == []
    after.store.close()


def test_a_slot_that_is_given_to_others_has_its_conversation_saved(causal: LlamaModel, tmp_path: Path) -> None:
    harness = Harness(causal, prefix_folder=tmp_path)
    answer = asked(harness, 1, OTHERS[0])
    for request_id, other in enumerate((*OTHERS[1:], FIRST), 2):
        asked(harness, request_id, other)
    assert len(files(tmp_path)) == 1
    again = asked(harness, 9, OTHERS[0])
    assert (again, harness.cached_tokens(9)) == (answer, len(OTHERS[0]) - 1)
    assert len(files(tmp_path)) == 2
    harness.store.close()


def test_cells_taken_back_are_saved(causal: LlamaModel, tmp_path: Path) -> None:
    harness = Harness(causal, admission := LimitedAdmission(), prefix_folder=tmp_path)
    asked(harness, 1, FIRST)
    admission.limit_bytes = harness.store.bytes_of(600)
    asked(harness, 2, [*OTHERS[0], *OTHERS[1]][:550], limit=5)
    assert len(files(tmp_path)) == 1
    harness.store.close()


def test_what_goes_on_replaces_what_it_began_with(tiny: LlamaModel, tmp_path: Path) -> None:
    conversation = FIRST
    for _ in range(3):
        harness = Harness(tiny, checkpoints=MOST, prefix_folder=tmp_path)
        conversation = [*conversation, *asked(harness, 1, conversation), *TURN]
        ended(harness)
    assert 1 <= len(files(tmp_path)) <= 3
    harness = Harness(tiny, checkpoints=MOST, prefix_folder=tmp_path)
    asked(harness, 1, conversation, limit=1)
    assert len(conversation) - len(TURN) - harness.cached_tokens(1) in (0, 1)  # the last token has no cell
    harness.store.close()


def test_only_the_user_may_read_the_files(causal: LlamaModel, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    harness = Harness(causal, prefix_folder=folder)
    asked(harness, 1, FIRST)
    ended(harness)
    (path,) = files(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


# --- files that are of no use --------------------------------------------------------------------------------------


@pytest.fixture
def saved(causal: LlamaModel, tmp_path: Path) -> Path:
    harness = Harness(causal, prefix_folder=tmp_path)
    asked(harness, 1, FIRST)
    ended(harness)
    (path,) = files(tmp_path)
    return path


def is_read_again(model: LlamaModel, folder: Path) -> bool:
    harness = Harness(model, prefix_folder=folder)
    answer = asked(harness, 1, FIRST)
    assert len(answer) == ANSWER
    assert harness.store.check_integrity() == []
    harness.store.close()
    return harness.cached_tokens(1) == 0


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def linked(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: cut(path, 0),
    "no header": lambda path: cut(path, 100),
    "cut": lambda path: cut(path, 50_000),
    "a byte short": lambda path: cut(path, -1),
    "a bit of the header": lambda path: flip(path, 40),
    "a bit of the cells": lambda path: flip(path, 50_000),
    "a bit of the checksum": lambda path: flip(path, -1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "another kind": lambda path: path.write_bytes(path.read_bytes().replace(b'"kind":"tests"', b'"kind":"other"')),
    "deleted": Path.unlink,
    "a folder": replaced_by_a_folder,
    "a link": linked,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_file_is_as_if_it_were_not_there(
    causal: LlamaModel, saved: Path, damage: Callable[[Path], object]
) -> None:
    assert not is_read_again(causal, saved.parent)
    damage(saved)
    assert is_read_again(causal, saved.parent)


def test_a_file_may_go_while_the_runner_lives(causal: LlamaModel, saved: Path) -> None:
    harness = Harness(causal, prefix_folder=saved.parent)
    saved.unlink()
    asked(harness, 1, FIRST)
    assert (harness.cached_tokens(1), harness.failures()) == (0, {})
    harness.store.close()


def test_a_file_that_was_deleted_is_written_again(causal: LlamaModel, saved: Path) -> None:
    harness = Harness(causal, prefix_folder=saved.parent)
    asked(harness, 1, FIRST)
    saved.unlink()
    ended(harness)
    assert files(saved.parent) == [saved]
    assert not is_read_again(causal, saved.parent)


def test_a_damaged_file_leaves_others_in_use(causal: LlamaModel, saved: Path) -> None:
    broken = saved.with_name(saved.name.replace(".kv", "0.kv"))
    broken.symlink_to(saved)
    assert not is_read_again(causal, saved.parent)


def test_no_room_on_the_disk_costs_nothing_but_time(
    causal: LlamaModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    harness = Harness(causal, prefix_folder=tmp_path)
    asked(harness, 1, FIRST)
    for request_id, other in enumerate(OTHERS, 2):
        asked(harness, request_id, other)
    assert (files(tmp_path), harness.failures()) == ([], {})
    ended(harness)


def test_a_folder_that_cannot_be_one_costs_nothing(causal: LlamaModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_read_again(causal, tmp_path / "file")


def test_memory_may_not_allow_to_load_it(causal: LlamaModel, saved: Path) -> None:
    harness = Harness(causal, admission := LimitedAdmission(), prefix_folder=saved.parent)
    admission.limit_bytes = harness.store.bytes_of(350)
    asked(harness, 1, SYSTEM, limit=5)
    assert (harness.cached_tokens(1), harness.failures()) == (0, {})
    assert harness.store.check_integrity() == []
    harness.store.close()


def test_a_window_may_have_become_smaller(causal: LlamaModel, saved: Path) -> None:
    """The eager cache is as long as OLLAMA_CONTEXT_LENGTH says, which may be less than when the file was written."""
    policy = GrowthPolicy(initial_cells=64, block_cells=32, max_cells=420)
    store = ReservedStore(causal, dataclasses.replace(SHAPE, cells=512), policy, OpenAdmission())
    harness = Harness(causal, store=store, prefix_folder=saved.parent)
    asked(harness, 1, FIRST, limit=20)
    assert (harness.cached_tokens(1), harness.failures()) == (0, {})
    with saved.open("rb") as file:
        (content,) = read_slots(file.fileno())
        assert not load_slot(store, harness.engine.slots[1], content)
    assert store.check_integrity() == []
    store.close()


def test_a_slot_that_shares_less_is_used_where_a_file_cannot_be(causal: LlamaModel, saved: Path) -> None:
    harness = Harness(causal, prefix_folder=saved.parent)
    asked(harness, 1, SYSTEM[:100], limit=20)
    saved.unlink()
    asked(harness, 2, FIRST)
    assert (harness.cached_tokens(2), harness.failures()) == (100, {})
    harness.store.close()


def test_the_files_used_longest_ago_go_first(causal: LlamaModel, tmp_path: Path) -> None:
    for age, prompt in ((300, OTHERS[0]), (200, OTHERS[1]), (100, OTHERS[2])):
        harness = Harness(causal, prefix_folder=tmp_path)
        asked(harness, 1, prompt, limit=1)
        ended(harness)
        latest = max(files(tmp_path), key=lambda path: path.stat().st_mtime)
        os.utime(latest, times=(time.time() - age,) * 2)
    size = latest.stat().st_size
    partial = tmp_path / "left.partial"
    partial.touch()
    os.utime(partial, times=(0, 0))
    strange = tmp_path / "strange.txt"
    strange.touch()
    harness = Harness(causal, prefix_folder=tmp_path, prefix_bytes=3 * size + 2000)
    asked(harness, 1, OTHERS[0], limit=1)
    assert harness.cached_tokens(1) == len(OTHERS[0]) - 1
    asked(harness, 2, FIRST, limit=1)
    ended(harness)
    left = Harness(causal, prefix_folder=tmp_path)
    assert left.engine._prefixes is not None
    assert [bool(left.engine._prefixes.find(prompt)) for prompt in (*OTHERS, FIRST)] == [True, False, False, True]
    assert (strange.exists(), partial.exists()) == (True, False)
    left.store.close()


# --- policy --------------------------------------------------------------------------------------------------------

TOKENS = st.lists(st.integers(0, 2), max_size=40)


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_long_prefixes_are_counted(shared: int, more: int, others: int) -> None:
    beginning = list(range(shared))
    assert common_prefix([*beginning, *[-1] * more], [*beginning, *[-2] * others]) == shared


@given(TOKENS, TOKENS)
def test_the_common_prefix_is_as_long_as_it_can_be(tokens: list[int], others: list[int]) -> None:
    count = common_prefix(tokens, others)
    assert tokens[:count] == others[:count]
    assert count == min(len(tokens), len(others)) or tokens[count] != others[count]


@given(TOKENS, st.none() | st.lists(st.integers(1, 40), max_size=4).map(sorted), TOKENS)
def test_what_is_usable_is_shared_and_can_be_cut_there(
    tokens: list[int], checkpoints: list[int] | None, prompt: list[int]
) -> None:
    count = usable(tokens, checkpoints, prompt)
    assert tokens[:count] == prompt[:count]
    assert count == 0 or checkpoints is None or count == len(tokens) or count in checkpoints
    if covers(tokens, checkpoints, prompt):
        assert common_prefix(tokens, prompt) == len(prompt)


def test_the_end_of_a_conversation_is_no_loss() -> None:
    assert is_lost(SAVED_TOKENS_MIN, 0)
    assert not is_lost(SAVED_TOKENS_MIN - 1, 0)
    assert is_lost(1000, 499)
    assert not is_lost(1000, 500)
