"""Models in a folder: which are found, under which names, and when."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny.speller import write_speller
from tests.tiny.split import split_gguf

from swell.errors import ModelLoadError, ModelNotFoundError
from swell.models import folder as folders
from swell.models.bundled import BundledModels
from swell.models.catalog import Catalog
from swell.models.folder import FolderModels
from swell.store.names import nearest_name, parse_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models"
    made.mkdir()
    return made


@pytest.fixture
def catalog(folder: Path) -> Catalog:
    return Catalog([FolderModels(folder)])


@pytest.fixture
def put(folder: Path, tiny_gguf: Path) -> Callable[[str], Path]:
    """Puts a model into the folder."""

    def copy(name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_gguf, path)
        return path

    return copy


def _names(catalog: Catalog) -> set[str]:
    return {model.name for model in catalog.list()}


def test_every_model_can_be_used_by_the_name_that_is_listed(catalog: Catalog, put: Callable[[str], Path]) -> None:
    paths = {
        "Qwen2.5-7B.Q4_K_M:latest": put("Qwen2.5-7B.Q4_K_M.gguf"),
        "me/small:latest": put("me/small.gguf"),
        "me-more/small:latest": put("me/more/small.gguf"),
        "a-name-with-blanks-1:latest": put("a name (with blanks) 1.GGUF"),
        "v1-5-x/small:latest": put("v1.5 x/small.gguf"),
        f"{'x' * 80}:latest": put("x" * 100 + ".gguf"),
    }

    assert _names(catalog) == set(paths)
    for name, path in paths.items():
        model = catalog.find(name.removesuffix(":latest").upper(), allow_path=False)
        assert (model.name, model.path) == (name, path)


def test_what_comes_and_goes_is_noticed(catalog: Catalog, put: Callable[[str], Path]) -> None:
    assert catalog.list() == []
    path = put("a.gguf")
    assert catalog.find("a", allow_path=False).path == path
    put("deep/down/b.gguf")
    assert _names(catalog) == {"a:latest", "deep-down/b:latest"}

    path.unlink()
    with pytest.raises(ModelNotFoundError):
        catalog.find("a", allow_path=False)
    assert _names(catalog) == {"deep-down/b:latest"}
    moved = put("A.gguf")
    assert catalog.find("a", allow_path=False).path == moved


def test_a_split_model_is_one(catalog: Catalog, folder: Path, tmp_path: Path) -> None:
    write_speller(tmp_path / "big.gguf")
    for part in split_gguf(tmp_path / "big.gguf", 3):
        shutil.move(part, folder)

    (model,) = catalog.list()
    first = catalog.find("big", allow_path=False).path
    assert (model.name, first.name) == ("big:latest", "big-00001-of-00003.gguf")
    assert model.size_bytes == sum(part.stat().st_size for part in folder.iterdir())
    last = first.with_name("big-00003-of-00003.gguf")
    with last.open("ab") as file:
        file.write(b"x")
    assert catalog.list()[0].size_bytes == model.size_bytes + 1

    last.unlink()
    assert catalog.list() == []


def test_a_name_alone_makes_no_parts(
    catalog: Catalog, put: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("alone-00001-of-99999.gguf")
    asked: list[Path] = []
    status_of = Path.stat

    def status(path: Path) -> os.stat_result:
        asked.append(path)
        return status_of(path)

    monkeypatch.setattr(Path, "stat", status)
    assert _names(catalog) == {"alone:latest"}
    assert len(asked) < 10


def _write(path: Path, architecture: str, kind: str | None = None, *, with_window: bool = True) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    if kind:
        writer.add_type(kind)
    if with_window:
        writer.add_context_length(64)
    writer.add_tensor_info("w", [4, 4], "float32", 64, gguf.GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("ab") as file:
        file.write(bytes(64 + 32))


def test_only_language_models_are_models(
    catalog: Catalog, folder: Path, put: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    _write(folder / "model.gguf", "llama", "model")
    _write(folder / "mmproj-F16.gguf", "clip", "mmproj", with_window=False)
    _write(folder / "old-projector.gguf", "clip", with_window=False)
    _write(folder / "lora.gguf", "llama", "adapter")
    _write(folder / "imatrix.gguf", "imatrix", "imatrix", with_window=False)
    _write(folder / "flux.gguf", "flux", with_window=False)
    (folder / "notes.txt").write_text("x")
    put(".hidden.gguf")
    put(".trash/thrown-away.gguf")

    assert _names(catalog) == {"model:latest"}
    assert caplog.records == []
    for name in ("mmproj-F16", "lora", "hidden"):
        with pytest.raises(ModelNotFoundError):
            catalog.find(name, allow_path=False)


def test_what_is_damaged_is_said_once(
    catalog: Catalog, folder: Path, put: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = put("copying.gguf")
    whole = path.read_bytes()
    path.write_bytes(whole[:500])
    os.mkfifo(folder / "pipe.gguf")
    (folder / "gone.gguf").symlink_to("nowhere")
    (folder / "circle.gguf").symlink_to("circle.gguf")
    put("good.gguf")

    for _ in range(3):
        assert _names(catalog) == {"good:latest"}
    assert sorted(record.getMessage().split()[1] for record in caplog.records) == [
        *("circle:latest", "copying:latest", "pipe:latest"),
    ]
    with pytest.raises(ModelLoadError, match="incomplete"):
        catalog.find("copying", allow_path=False)

    path.write_bytes(whole)
    assert _names(catalog) == {"copying:latest", "good:latest"}


def test_links_may_lead_in_circles(catalog: Catalog, folder: Path, put: Callable[[str], Path], tiny_gguf: Path) -> None:
    put("sub/a.gguf")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "linked.gguf").symlink_to(tiny_gguf)

    assert _names(catalog) == {"sub/a:latest", "linked:latest"}


def test_of_two_files_with_one_name_the_upper_one_counts(
    catalog: Catalog, put: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    put("library/a.gguf")
    put("b c/d.gguf")
    expected = {"a:latest": put("a.gguf"), "b-c/d:latest": put("b/c/d.gguf")}
    expected["b-c/d:latest"] = Path(str(expected["b-c/d:latest"]).replace("b/c", "b c"))

    for _ in range(2):
        found = [catalog.find(model.name, allow_path=False) for model in catalog.list()]
        assert {model.name: model.path for model in found} == expected
    assert len(caplog.records) == 2


def test_names_that_no_answer_could_hold(
    catalog: Catalog, folder: Path, tiny_gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(tiny_gguf, folder / os.fsdecode(b"bad-\xff.gguf"))
    shutil.copy(tiny_gguf, folder / "漢字.gguf")
    shutil.copy(tiny_gguf, folder / ".-.gguf")

    assert catalog.list() == catalog.list() == []
    assert len(caplog.records) == 2


def test_a_folder_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    catalog = Catalog([FolderModels(tmp_path / "later"), BundledModels()])
    assert [model.name for model in catalog.list()] == ["smollm2:135m"]
    assert catalog.find("smollm2", allow_path=False).name == "smollm2:135m"
    assert len(caplog.records) == 1


def test_a_users_own_file_goes_before_an_alias(folder: Path, put: Callable[[str], Path]) -> None:
    catalog = Catalog([FolderModels(folder), BundledModels()])
    put("smollm2.gguf")

    assert _names(catalog) == {"smollm2:latest", "smollm2:135m"}
    assert catalog.find("smollm2", allow_path=False).name == "smollm2:latest"
    assert catalog.find("smollm2:135m", allow_path=False).name == "smollm2:135m"


def test_headers_are_read_once(catalog: Catalog, put: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        put(f"{name}.gguf")
    first = catalog.find("a", allow_path=False)
    catalog.list()
    opened: list[Path] = []
    monkeypatch.setattr(Path, "open", lambda path, *_: opened.append(path))

    assert len(catalog.list()) == 3
    assert catalog.find(first.name, allow_path=False).header is first.header
    assert opened == []


def test_no_more_is_looked_at_than_a_disk_of_models_has(
    folder: Path, put: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        put(f"{number}/m.gguf")
    put("top.gguf")
    monkeypatch.setattr(folders, "_ENTRIES_MAX", 25)
    catalog = Catalog([FolderModels(folder)])

    found = _names(catalog)
    assert "top:latest" in found
    assert 1 < len(found) < 21
    assert "the rest isn't looked at" in caplog.text


def test_a_folder_that_may_not_be_read(
    catalog: Catalog, folder: Path, put: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("closed/a.gguf")
    put("open/b.gguf")
    scan = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert _names(catalog) == {"open/b:latest"}


@given(st.text(max_size=100), st.text(max_size=100))
def test_the_nearest_name_is_one(namespace: str, model: str) -> None:
    name = nearest_name(namespace, model)
    if name is not None:
        assert parse_name(name.short) == name
    else:
        assert not any(letter.isascii() and letter.isalnum() for letter in model)


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", fullmatch=True))
def test_what_can_be_a_name_stays_one(model: str) -> None:
    name = nearest_name("", model)
    assert name is not None
    assert (name.model, name.namespace) == (model, "library")
