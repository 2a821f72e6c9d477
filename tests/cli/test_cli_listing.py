import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from swell.cli.listing import running_table
from swell.cli.replies import RunningModel

Answers = dict[str, tuple[int, str]]
Swell = Callable[..., subprocess.CompletedProcess[str]]

NOW = datetime(2026, 8, 21, 12, tzinfo=UTC)


def running(**fields: Any) -> RunningModel:
    defaults: dict[str, Any] = {
        "name": "m:1b",
        "digest": "0123456789abcdef",
        "size": 2_000_000_000,
        "expires_at": NOW + timedelta(minutes=4, seconds=30),
        "context_length": 8192,
    }
    return RunningModel(**{**defaults, **fields})


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("    ") if cell.strip()] for line in text.splitlines()]


def test_context_is_the_length_where_nothing_else_is_known() -> None:
    assert cells(running_table([running()], NOW, verbose=False)) == [
        ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"],
        ["m:1b", "0123456789ab", "2 GB", "100% CPU", "8192", "4 minutes from now"],
    ]


def test_context_shows_what_is_allocated() -> None:
    assert cells(running_table([running(context_allocated=2048)], NOW, verbose=False))[1][4] == "2048/8192"


def test_verbose_adds_active_and_memory() -> None:
    model = running(
        context_allocated=2048,
        context_active=7,
        cut_tokens=31,
        threads=1,
        threads_allowed=2,
        ram_used=345_000_000,
        weights_used=97_000_000,
        kv_used=200_000_000,
        kv_granted=210_000_000,
        other_used=48_000_000,
        vram_used=10**9,
        vram_total=8 * 10**9,
    )
    assert cells(running_table([model], NOW, verbose=True)) == [
        [
            *("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "ACTIVE", "CUT", "THREADS", "UNTIL", "VRAM", "RAM"),
            *("WEIGHTS", "KV", "OTHER"),
        ],
        [
            *("m:1b", "0123456789ab", "2 GB", "100% CPU", "2048/8192", "7", "31", "1/2", "4 minutes from now"),
            *("1 GB/8 GB", "345 MB", "97 MB", "200 MB/210 MB", "48 MB"),
        ],
    ]


def test_verbose_shows_a_dash_for_what_is_not_known() -> None:
    assert cells(running_table([running(context_active=0)], NOW, verbose=True))[1][5:] == [
        "0", "-", "-", "4 minutes from now", "-", "-", "-", "-", "-",
    ]  # fmt: skip
    assert cells(running_table([running()], NOW, verbose=True))[1][5] == "-"


def test_list_shows_names_with_the_prefix(swell: Swell, answers: Answers) -> None:
    models = [
        {"name": name, "model": name, "digest": "ab" * 32, "size": 145_000_000, "modified_at": "0001-01-01T00:00:00Z"}
        for name in ("Smol:latest", "other:latest")
    ]
    answers["GET /api/tags"] = (200, json.dumps({"models": models}))
    result = swell("list", "SMO")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "NAME           ID              SIZE      MODIFIED \n"
        "Smol:latest    abababababab    145 MB    Never       \n"
    )  # fmt: skip
    assert swell("ls").stdout.count("latest") == 2


def test_ps_reads_the_servers_times(swell: Swell, answers: Answers) -> None:
    row = {
        "name": "m:1b",
        "model": "m:1b",
        "size": 10**9,
        "digest": "cd" * 32,
        "details": {},
        "expires_at": "2318-12-01T17:21:00.123456789-07:00",
        "size_vram": 0,
        "context_length": 8192,
        "context_allocated": 3072,
        "ram_used": 512,
    }
    answers["GET /api/ps"] = (200, json.dumps({"models": [row]}))
    assert cells(swell("ps").stdout)[1] == ["m:1b", "cdcdcdcdcdcd", "1 GB", "100% CPU", "3072/8192", "Forever"]
    assert cells(swell("ps", "-v").stdout)[1][5:] == ["-", "-", "-", "Forever", "-", "512 B", "-", "-", "-"]
    assert len(swell("ps", "other").stdout.splitlines()) == 1
