"""Files whose numbers make no sense: they cost little, and are answered in words."""

import hashlib
import random
import struct
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.scripted import ScriptedScheduler, Server
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import seeds

from swell.cache import CacheType
from swell.errors import DamagedModelError, ModelLoadError
from swell.models import headers
from swell.models.catalog import whole_catalog
from swell.models.gguf import read_header
from swell.models.headers import Headers
from swell.models.model import open_model
from swell.options import Options
from swell.scheduler import estimate
from swell.scheduler.load_options import requested_load_options
from swell.scheduler.placement import needs
from swell.settings import Settings
from swell.store.store import Store

COST_BYTES = 16 << 20
"""Of a request, whatever the file."""
COST_FACTOR = 50
"""Of a byte of the file: a tensor's entry becomes objects."""

NUMBERS = (0, 1, 2, 7, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1, 2**64 - 1, -1, -(2**31), -(2**63))
KEYS = (
    *("context_length", "embedding_length", "block_count", "feed_forward_length", "vocab_size", "pooling_type"),
    *("attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"),
    "attention.key_length_mla",
)
COMMON_KEYS = (
    *("general.alignment", "general.architecture", "general.file_type", "general.name", "tokenizer.chat_template"),
    *("tokenizer.ggml.tokens", "tokenizer.ggml.model", "tokenizer.ggml.fim_mid_token_id"),
)
NAMES = ("blk.0.w", "blk.511.w", "blk.20000000.w", f"blk.{'9' * 5000}.w", "blk.x", "output.weight", "")
FORMS = {4: "I", 5: "i", 10: "Q", 11: "q", 6: "f", 12: "d", 7: "B", 1: "b"}


def _string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _fits(code: int, number: float) -> bool:
    try:
        struct.pack("<" + FORMS[code], number)
    except (struct.error, OverflowError):
        return False
    return True


def _scalar(code: int, number: float) -> bytes:
    return struct.pack("<I" + FORMS[code], code, number)


scalars = st.builds(
    lambda code, number: _scalar(code, number) if _fits(code, number) else _scalar(4, 5),
    st.sampled_from(list(FORMS)),
    st.sampled_from((*NUMBERS, float("nan"), float("inf"), 1e300)),
)
texts = st.sampled_from(["", "llama", "x" * 1000, "<think></think>{{ x", "\udcff\udcfe"]).map(
    lambda text: struct.pack("<I", 8) + _string(text)
)
arrays = st.builds(
    lambda code, count, claimed: struct.pack("<IIQ", 9, code, claimed) + bytes(8) * count,
    st.sampled_from([0, 4, 5, 6, 8, 9, 10]),
    st.integers(0, 5),
    st.sampled_from([0, 1, 3, 4, 2**24, 2**40]),
)
entries = st.tuples(
    st.sampled_from([*(f"llama.{key}" for key in KEYS), *COMMON_KEYS]), st.one_of(scalars, scalars, texts, arrays)
)
tensors = st.tuples(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from([0, 1, 4, 32, 2**20, 2**31, 2**62]), max_size=4),
    st.sampled_from([0, 1, 2, 4, 8, 14, 39, 40, 999]),
    st.sampled_from([0, 32, 33, 4096, 2**40, 2**63]),
)


def _file(values: dict[str, bytes], infos: list[tuple[str, list[int], int, int]], data_bytes: int) -> bytes:
    described = b"".join(
        _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, code, start)
        for name, shape, code, start in infos
    )
    head = b"".join(_string(key) + value for key, value in values.items())
    return b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(values)) + head + described + bytes(data_bytes)


def _use(path: Path) -> None:
    """What the server works out before a load."""
    model = open_model(path, "x", "x")
    fit = requested_load_options(Options(num_gpu=99), model, 1)
    assert fit.device_layers is not None
    assert fit.device_layers >= 0
    found = estimate.estimate(model, slots=1, batch_tokens=256, initial_tokens=2048, cache_type=CacheType.F16)
    placed = needs.estimate(model, cells=2048, growth_cells=1024, slots=1, batch_tokens=256, cache_type=CacheType.Q8_0)
    assert min(found.weights_bytes, found.kv_bytes, found.other_bytes, *placed.weights, *placed.kv, 0) == 0


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(entries, max_size=8).map(dict),
    infos=st.lists(tensors, max_size=3),
    data_bytes=st.sampled_from([0, 31, 4096]),
)
def test_absurd_numbers_cost_little_and_are_answered(
    server: Any, tmp_path: Path, values: dict[str, bytes], infos: list[Any], data_bytes: int
) -> None:
    path = tmp_path / "absurd.gguf"
    content = _file({"general.architecture": struct.pack("<I", 8) + _string("llama"), **values}, infos, data_bytes)
    path.write_bytes(content)

    tracemalloc.start()
    try:
        for asked in ("/api/show", "/api/generate"):
            response = server.post(asked, model=str(path), verbose=True, prompt="x", stream=False)
            assert response.status_code == 200 or list(response.json()) == ["error"], response.text
            assert response.status_code in (200, 400), response.text
        try:
            _use(path)
        except ModelLoadError:
            assert response.status_code == 400
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < COST_BYTES + COST_FACTOR * len(content)


def test_damaged_uploads_are_refused_in_words_or_shown(tmp_path: Path) -> None:
    asked = Settings(store_dir=tmp_path / "store")
    catalog = whole_catalog(Store(asked.store_dir), None, asked.template_preference)
    server = Server(catalog, ScriptedScheduler(), settings=asked)
    sound = list(seeds(tmp_path))
    counted = Counter[int]()
    for number in range(60):
        chance = random.Random(f"upload {number}")
        content, _ = mutate(chance, chance.choice(sound)[1])
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert server.request("POST", f"/api/blobs/{digest}", content=content).status_code == 201
        created = server.post("/api/create", model="made", files={"x.gguf": digest}, stream=False)
        counted[created.status_code] += 1
        if created.status_code == 200:
            assert server.post("/api/show", model="made", verbose=True).status_code == 200
        else:
            assert list(created.json()) == ["error"]
    assert set(counted) == {200, 400}


def test_a_list_is_shown_without_being_made_of_objects(server: Any, tmp_path: Path) -> None:
    count = 1 << 20
    path = tmp_path / "list.gguf"
    path.write_bytes(_file({"a": struct.pack("<IIQ", 9, 1, count) + b"\x80" * count}, [], 0))

    tracemalloc.start()
    try:
        shown = server.post("/api/show", model=str(path), verbose=True).text
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown.count("-128") == count
    assert peak_bytes < 30 * count  # the text has 5 bytes for each, and is held some times; objects would be 36 more


def _tiny(path: Path, name: str) -> Path:
    path.write_bytes(_file({"general.name": struct.pack("<I", 8) + _string(name)}, [], 0))
    return path


def test_headers_are_kept_while_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "KEPT_MAX_BYTES", 100_000)
    paths = [_tiny(tmp_path / f"{number}.gguf", "x" * 30_000) for number in range(4)]
    kept = Headers()
    first = [kept.read(path, path.stat()) for path in paths[:3]]
    assert kept.read(paths[0], paths[0].stat()) is first[0]

    kept.read(paths[3], paths[3].stat())
    assert kept.read(paths[0], paths[0].stat()) is first[0]
    assert kept.read(paths[1], paths[1].stat()) is not first[1]  # it was asked for longest ago
    huge = _tiny(tmp_path / "huge.gguf", "x" * 200_000)
    assert kept.read(huge, huge.stat()).metadata
    assert not kept._kept
    assert kept._kept_bytes == 0


def test_a_damaged_file_is_read_once_and_others_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    read, kept = [], Headers()

    def count(asked: Path) -> Any:
        read.append(asked)
        return original(asked)

    original = read_header
    monkeypatch.setattr(headers, "read_header", count)
    for _ in range(3):
        with pytest.raises(DamagedModelError):
            kept.read(path, path.stat())
    assert len(read) == 1

    _tiny(path, "good")
    assert kept.read(path, path.stat()).metadata == {"general.name": "good"}
    for _ in range(2):  # what can't be opened may be all right
        with pytest.raises(ModelLoadError):
            kept.read(tmp_path, tmp_path.stat())
    assert len(read) == 4
