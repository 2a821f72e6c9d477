"""From measurements to tables."""

from pathlib import Path

import msgspec

from swell.bench.command import read
from swell.bench.footprint import Footprint
from swell.bench.kv import CreationResult, Report, SeriesResult, TurnsSeries, write
from swell.bench.machine import Machine
from swell.bench.plan import PEER
from swell.bench.report import sections
from swell.bench.results import (
    BenchRun,
    BenchStep,
    Growth,
    GrowthResult,
    MemoryStage,
    SpeedResult,
    Stage,
    TurnsResult,
    WasteResult,
)
from swell.cache import StoreKind

CELL_BYTES = 1000


def held(cells: int) -> Footprint:
    size_bytes = cells * CELL_BYTES
    return Footprint(resident_bytes=0, unique_bytes=0, anonymous_bytes=size_bytes, peak_bytes=0)


def created(kv_cells: int | None, process_cells: int, *stages: MemoryStage) -> WasteResult:
    return WasteResult(
        creation_s=0.01,
        cell_bytes=CELL_BYTES,
        before=held(100),
        created=held(100 + process_cells),
        created_kv_resident_bytes=None if kv_cells is None else kv_cells * CELL_BYTES,
        stages=list(stages),
    )


def stage(kind: Stage, tokens: int, used: int, kv_cells: int, process_cells: int) -> MemoryStage:
    return MemoryStage(
        stage=kind,
        tokens=tokens,
        used_tokens=used,
        duration_s=1.0,
        process=held(100 + process_cells),
        kv_resident_bytes=kv_cells * CELL_BYTES,
    )


RESERVED = created(
    0,
    50,
    stage(Stage.GROWN, 512, 1024, 1024, 1536),
    stage(Stage.RELEASED, 512, 512, 512, 1024),
    stage(Stage.SHRUNK, 128, 128, 160, 640),
)
SMALLEST = created(None, 300)
SERVER = created(None, 300 + 2048 - 256)
EAGER = created(2048, 2100)


def report() -> Report:
    results = {"reserved": RESERVED, "eager": EAGER, PEER: SERVER}
    counts = {"reserved": (512,), "eager": (), PEER: ()}
    growth = GrowthResult(
        steps=[BenchStep(1, 0.010, 1e-6, 1e-6, False, False), BenchStep(2, 0.011, 9e-5, 8e-5, True, False)],
        reading=[Growth(3, 1e-4, 9e-5, False)],
        bare=[Growth(4, 2e-4, 1e-4, False)],
    )
    runs = [
        BenchRun(StoreKind.RESERVED, 256, 1, 1.0),
        BenchRun(StoreKind.EAGER, 256, 0, 1.1),
        BenchRun(StoreKind.EAGER, 256, 0, 1.3),
        BenchRun(StoreKind.RESERVED, 256, 1, 1.0),
    ]
    return Report(
        command="swell bench kv model",
        date="2026-01-01T00:00:00+00:00",
        duration_s=1.0,
        model="model",
        window_tokens=1024,
        threads=2,
        versions={},
        machine=Machine(cpu="", cores=2, memory_bytes=1, kernel="", python="", huge_pages="", load=0.0),
        cell_bytes=CELL_BYTES,
        token_counts=(512, 1024),
        smallest_peer=SMALLEST,
        waste=[
            SeriesResult(subject=subject, slots=2, token_counts=counts[subject], result=result)
            for subject, result in results.items()
        ],
        growth={"reserved": growth},
        creation=[CreationResult(subject=PEER, slots=2, results=[SERVER])],
        speed=SpeedResult(steps=11, runs=runs),
        turns=[TurnsSeries(subject=PEER, prompt_tokens=2048, result=TurnsResult(first_token_s=[2.0, 0.1, 0.3, 0.2]))],
    )


def test_waste_is_measured_or_marked_as_derived() -> None:
    waste, process, *_ = sections(report())
    assert waste.header == ("slots x tokens", "reserved", "eager", PEER)
    assert waste.rows == (
        ("2 x 512", "1.00", "2.00*", "2.00*"),
        ("2 x 1024", "-", "1.00*", "1.00*"),
        ("2 x 512, 1 released", "1.00", "4.00*", "4.00*"),
        ("1 x 128 left", "1.25", "16.00*", "16.00*"),
    )
    assert [row[:2] for row in process.rows] == [
        ("2 x 512", "1.50"),
        ("2 x 512, 1 released", "2.00"),
        ("1 x 128 left", "5.00"),
    ]


def test_memory_that_could_not_be_cut_has_no_waste() -> None:
    """A window's cells are gone when a conversation is cut to a quarter: there is nothing to divide by."""
    found = report()
    emptied = created(0, 50, stage(Stage.GROWN, 512, 1024, 1024, 1536), stage(Stage.SHRUNK, 128, 0, 0, 640))
    series = [msgspec.structs.replace(found.waste[0], result=emptied), *found.waste[1:]]
    waste, process, *_ = sections(msgspec.structs.replace(found, waste=series))
    assert [row[1] for row in waste.rows] == ["1.00", "-", "-"]
    assert [row[:2] for row in process.rows] == [("2 x 512", "1.50")]


def test_growth_creation_and_speed() -> None:
    _, _, growth, creation, speed, turns = sections(report())
    assert growth.rows == (
        ("reserved, generating", "1", "90", "90", "90", "80", "80", "80", "1000", "1000", "1000"),
        ("reserved, reading", "1", "100", "100", "100", "90", "90", "90", "-", "-", "-"),
        ("reserved, nothing between", "1", "200", "200", "200", "100", "100", "100", "-", "-", "-"),
        ("reserved, steps without growth", "0", *["-"] * 9),
    )
    assert creation.rows == ((f"2 {PEER}", "10", "2.0", "2.0"),)
    assert speed.rows == (("256 (growths: 1)", "11.0", "9.2", "1.200", "1.100 to 1.300", "2"),)
    assert turns.rows == ((f"2048, {PEER}", "2000", "200", "300", "0.100"),)


def test_every_row_has_a_cell_for_each_column() -> None:
    for section in sections(report()):
        assert {len(row) for row in section.rows} == {len(section.header)}


def test_a_report_can_be_read_again(tmp_path: Path) -> None:
    write(report(), tmp_path / "kv.json")
    assert read(tmp_path / "kv.json") == report()
    assert [file.name for file in tmp_path.iterdir()] == ["kv.json"]
