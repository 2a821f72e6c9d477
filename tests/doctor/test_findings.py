"""What follows from the facts."""

import signal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doctor.facts import ANY, CUDA, GB, LIBRARY, MEMORY, MODEL, WELL, nvidia, well_but

from swell.cache import CacheType, FlashAttention
from swell.doctor.facts import (
    Facts,
    FolderFacts,
    FolderState,
    LibraryFailure,
    MatrixUnits,
    ModelFit,
    Overcommit,
    ServerFacts,
    ServerState,
    SettingFacts,
    UnknownSetting,
)
from swell.doctor.findings import findings
from swell.doctor.verdicts import Severity
from swell.settings import Settings

replace = msgspec.structs.replace
PROBLEM, REMARK = Severity.PROBLEM, Severity.REMARK


def said(facts: Facts, **settings: Any) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.subject) for finding in findings(facts, Settings(**settings))]


def library(**changes: Any) -> Facts:
    return well_but(library=replace(LIBRARY, **changes))


def memory(**changes: Any) -> Facts:
    return well_but(memory=replace(MEMORY, **changes))


def server(state: ServerState, version: str = "") -> Facts:
    return well_but(server=ServerFacts(url="http://127.0.0.1:11434", state=state, version=version))


def folder(state: FolderState, setting: str = "OLLAMA_MODELS", free_bytes: int = 100 * GB) -> Facts:
    return well_but(folders=[FolderFacts(setting=setting, path="/there", state=state, free_bytes=free_bytes)])


def devices(*backends: str, **changes: Any) -> Facts:
    return well_but(hardware=nvidia(**changes), library=replace(LIBRARY, backends=[*backends, "CPU"]))


def fitting(*windows: int, **changes: Any) -> Facts:
    kinds = zip(("f16", "q8_0", "q4_0"), windows, strict=True)
    fits = [ModelFit(cache_type=kind, window_tokens=window, device_layers=0) for kind, window in kinds]
    return well_but(models=[replace(MODEL, fits=fits)], **changes)


@given(facts=ANY, cache_type=st.none() | st.sampled_from(CacheType), attention=st.sampled_from(FlashAttention))
def test_whatever_is_found_is_said_with_what_would_help(
    facts: Facts, cache_type: CacheType | None, attention: FlashAttention
) -> None:
    found = findings(facts, Settings(kv_cache_type=cache_type, flash_attention=attention))
    assert all(finding.text and finding.help and finding.subject for finding in found)
    severities = [finding.severity for finding in found]
    assert severities == sorted(severities, key=[PROBLEM, REMARK].index)
    if isinstance(facts.library, LibraryFailure) or facts.missing_models:
        assert PROBLEM in severities


def test_where_all_is_well_nothing_is_said() -> None:
    assert said(WELL) == []
    assert said(server(ServerState.SWELL, WELL.swell)) == []
    assert said(library(matrix_units=MatrixUnits.WORKING, has_rpc=True), workers=("there:50052",)) == []
    assert said(folder(FolderState.MISSING)) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (well_but(settings=[SettingFacts(name="A", text="x", default="1", fault="no")]), (PROBLEM, "setting")),
        (well_but(settings=[SettingFacts(name="A", text="x", default="1", fault="")]), None),
        (well_but(unknown_settings=[UnknownSetting(name="SWELL_X", nearest="")]), (REMARK, "setting")),
        (server(ServerState.SWELL, "0.9"), (REMARK, "server")),
        (server(ServerState.OTHER, "0.33.0"), (PROBLEM, "server")),
        (server(ServerState.SILENT), (PROBLEM, "server")),
        (server(ServerState.FORBIDDEN), (PROBLEM, "server")),
        (server(ServerState.ELSEWHERE), (PROBLEM, "server")),
        (well_but(library=LibraryFailure(exit_code=1, reason="not installed")), (PROBLEM, "llama.cpp")),
        (library(reserved_refusal="other structs"), (REMARK, "reserved")),
        (library(matrix_units=MatrixUnits.BROKEN), (REMARK, "amx")),
        (library(threads_refusal="other structs"), (REMARK, "threads")),
        (library(fuses_attention=False), (REMARK, "flash attention")),
        (memory(free_bytes=GB // 4), (PROBLEM, "memory")),
        (memory(free_bytes=GB // 4 + 1), None),
        (memory(overcommit=Overcommit.NEVER), (REMARK, "overcommit")),
        (memory(address_space_bytes=8 * GB), (REMARK, "address space")),
        (well_but(budget_bytes=17 * GB), (REMARK, "budget")),
        (well_but(processors=replace(WELL.processors, quota=0.5)), (REMARK, "processors")),
        (well_but(processors=replace(WELL.processors, quota=1.0)), None),
        (folder(FolderState.UNREADABLE), (PROBLEM, "folder")),
        (folder(FolderState.IMPOSSIBLE), (PROBLEM, "folder")),
        (folder(FolderState.MISSING, "SWELL_MODELS_DIR"), (PROBLEM, "folder")),
        (folder(FolderState.READ_ONLY), (REMARK, "folder")),
        (folder(FolderState.READ_ONLY, "SWELL_MODELS_DIR"), None),
        (folder(FolderState.GOOD, free_bytes=GB), (REMARK, "disk")),
        (well_but(missing_models={"x": "not found"}), (PROBLEM, "model")),
        (well_but(damaged_models={"x": "cut short"}), (REMARK, "model")),
        (well_but(models=[]), (REMARK, "model")),
        (fitting(4096, 8192, 8192), (REMARK, "window")),
        (fitting(0, 0, 100), (REMARK, "window")),
        (fitting(0, 0, 100, asked_models=["tiny:latest"]), (PROBLEM, "window")),
    ],
)
def test_each_thing_is_said_as_bad_as_it_is(facts: Facts, expected: tuple[Severity, str] | None) -> None:
    assert said(facts) == ([] if expected is None else [expected])


def test_settings_that_contradict_the_library_are_problems() -> None:
    assert said(WELL, workers=("there:50052",)) == [(PROBLEM, "workers")]
    off = FlashAttention.OFF
    assert said(WELL, flash_attention=off) == [(REMARK, "flash attention")]
    assert said(WELL, flash_attention=off, kv_cache_type=CacheType.Q8_0) == [(PROBLEM, "flash attention")]
    assert said(library(fuses_attention=False), kv_cache_type=CacheType.Q4_0) == [(PROBLEM, "flash attention")]


@pytest.mark.parametrize(
    ("facts", "help"),
    [
        (devices(), "CMAKE_ARGS=-DGGML_CUDA=on"),
        (devices(accelerators=[]), "CMAKE_ARGS=-DGGML_CUDA=on"),  # a container that shows the files and not the bus
        (devices("CUDA", reachable=[]), "--gpus"),
        (devices("CUDA", hidden_by=["CUDA_VISIBLE_DEVICES="]), "unset"),
        (devices("Vulkan"), "driver"),
    ],
)
def test_a_device_that_is_not_used_is_explained(facts: Facts, help: str) -> None:
    (finding,) = findings(facts, Settings())
    assert (finding.severity, finding.subject) == (REMARK, "devices")
    assert help in finding.help


def test_a_device_that_is_used_is_not() -> None:
    facts = devices("CUDA")
    assert said(replace(facts, library=replace(facts.library, devices=[CUDA]))) == []


def test_a_processor_that_llama_cpp_was_not_compiled_for_is_named() -> None:
    (finding,) = findings(well_but(library=LibraryFailure(exit_code=-signal.SIGILL, reason="")), Settings())
    assert "compiled for another processor" in finding.text


def test_what_would_let_more_of_a_window_fit_is_said() -> None:
    by_memory, by_budget = fitting(4096, 6000, 8192), fitting(4096, 6000, 8192, budget_bytes=4096 * 20_000)
    (finding,) = findings(by_memory, Settings())
    assert finding.text == "tiny:latest: 4096 of 8192 tokens fit"
    assert "q8_0 6000, q4_0 8192 tokens would fit; free memory" in finding.help
    (finding,) = findings(by_budget, Settings())
    assert finding.help.endswith("raise SWELL_KV_BUDGET")
    (finding,) = findings(by_memory, Settings(kv_cache_type=CacheType.Q8_0))
    assert "6000 of 8192" in finding.text
    assert "q4_0 8192 tokens" in finding.help
    assert said(by_memory, kv_cache_type=CacheType.Q4_0) == []
