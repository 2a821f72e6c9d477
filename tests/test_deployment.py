"""What is there to run Swell as a service or in a container: read by the programs that read it in earnest."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.control_group import new_group

from swell.memory.budget import parse_budget
from swell.settings import Settings, given_settings, setting_names

PACKAGING = Path(__file__).parents[1] / "packaging"
UNIT = (PACKAGING / "systemd/swell.service").read_text()
CONTAINER = (PACKAGING / "Containerfile").read_text()
EXPOSURE_MAX = 40
"""Of 100, as systemd counts what a service could do that it need not; services without any protection have 96."""


def unit_environment() -> dict[str, str]:
    return dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)$", UNIT, re.MULTILINE))


def container_environment() -> dict[str, str]:
    (block,) = re.findall(r"^ENV PATH=(?:.*\\\n)*.*$", CONTAINER, re.MULTILINE)
    return dict(re.findall(r"(\w+)=(\S+)", block))


def directive(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program that is there: nothing is installed in /opt by tests."""
    unit = tmp_path / "swell.service"
    unit.write_text(UNIT.replace("/opt/swell/bin/swell", sys.executable))
    for question in (["verify"], ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}"]):
        done = subprocess.run(["systemd-analyze", *question, str(unit)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("environment", [unit_environment(), container_environment()])
def test_settings_are_settings(environment: dict[str, str]) -> None:
    given = list(given_settings(environment))
    assert [one.fault for one in given] == [""] * len(given)
    assert {name for name in environment if name.startswith(("OLLAMA_", "SWELL_"))} <= set(setting_names())
    settings = Settings.from_given(given)
    assert settings.kv_budget is not None
    assert settings.kv_budget.is_share


def test_answers_are_finished_before_the_service_is_killed() -> None:
    assert float(directive("TimeoutStopSec")) > Settings().drain_s + 10


@pytest.mark.slow
@pytest.mark.destructive
def test_the_budget_fits_the_memory_limit() -> None:
    """In a real group with the unit's part of a machine of 1 GB, the small model's whole window fits."""
    limit_bytes = parse_budget(directive("MemoryMax")).limit_bytes(10**9)
    with new_group() as group:
        done = subprocess.run(
            [sys.executable, "-m", "swell", "doctor", "smollm2:135m", "--json"],
            capture_output=True,
            env=unit_environment() | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PACKAGING.parent / "src")},
            preexec_fn=group.enter_with(limit_bytes),
        )
    found = json.loads(done.stdout)
    total_bytes = found["facts"]["memory"]["total_bytes"]
    assert limit_bytes - (1 << 16) <= total_bytes <= limit_bytes  # the kernel counts in pages
    assert found["facts"]["budget_bytes"] == total_bytes // 2
    (model,) = found["facts"]["models"]
    assert {fit["window_tokens"] for fit in model["fits"]} == {8192}


def test_the_container_is_without_faults() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, PACKAGING / "Containerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_copies_what_is_there_and_runs_as_nobody_special() -> None:
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINER, re.MULTILINE):
        assert all((PACKAGING.parent / name).exists() for name in source.split())
    assert re.findall(r"^USER (\d+)$", CONTAINER, re.MULTILINE)[-1] != "0"
