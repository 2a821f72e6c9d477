"""`swell doctor`: asks the server, has the machine examined, and shows what was found."""

import os
import sys
from collections.abc import Iterator, Sequence

import msgspec

from swell.cli.client import Client
from swell.cli.errors import CommandError, NoServerError
from swell.cli.human import human_bytes
from swell.cli.replies import Version
from swell.cli.tables import section, table
from swell.doctor.examination import Examination, examine
from swell.doctor.facts import (
    Facts,
    LibraryFailure,
    MemoryFacts,
    ModelFacts,
    ProcessorFacts,
    ServerFacts,
    ServerState,
)
from swell.doctor.places import listening_state
from swell.doctor.verdicts import Finding, Severity
from swell.host import HostAddress
from swell.settings import Settings, given_settings

_COLUMNS = 90
_MARKS = {Severity.PROBLEM: "PROBLEM", Severity.REMARK: "could be better"}


def doctor(models: Sequence[str], *, as_json: bool) -> int:
    """Examine the machine for `models`, or all there are, and print what was found; the exit status.

    That is 1 if something can't work.
    """
    address = Settings.from_given(given_settings(os.environ)).host
    found = examine(models, os.environ, server_facts(address))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        sys.stdout.write(report(found))
    return int(not found.works)


def server_facts(address: HostAddress) -> ServerFacts:
    """What is at `address`."""
    with Client(address) as client:
        try:
            reply = client.get("/api/version", Version)
        except NoServerError:
            return ServerFacts(url=address.url, state=listening_state(address))
        except CommandError:
            return ServerFacts(url=address.url, state=ServerState.OTHER)
    if reply.swell is None:
        return ServerFacts(url=address.url, state=ServerState.OTHER, version=reply.version)
    return ServerFacts(url=address.url, state=ServerState.SWELL, version=reply.swell)


def report(found: Examination) -> str:
    """What was found, for people; what can't work comes last, where it is seen."""
    facts = found.facts
    parts = [section("Machine", [*_machine(facts)], _COLUMNS), section("llama.cpp", [*_library(facts)], _COLUMNS)]
    parts.append(section("Server", [*_server(facts)], _COLUMNS))
    if facts.models:
        rows = [_model(model) for model in facts.models]
        header = ("MODEL", "WEIGHTS", "STORE", "WINDOW", *(kind.upper() for kind in _kinds(facts.models[0])))
        parts.append(table(header, rows) + "\n")
    parts += [_finding(finding) for finding in reversed(found.findings)]
    parts.append("Everything works." if found.works else "Something can't work.")
    return "".join(f"{line.rstrip()}\n" for line in "".join(parts).splitlines())


def _machine(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "system", f"{facts.kernel}, Python {facts.python}, Swell {facts.swell}"
    yield "processors", _processors(facts.processors)
    yield "memory", _memory(facts.memory)
    budget = human_bytes(facts.budget_bytes) if facts.budget_bytes is not None else "no limit of its own"
    yield "for caches", f"{budget}; {human_bytes(facts.headroom_bytes)} stay free"
    yield "huge pages", facts.memory.huge_pages or "none"
    yield "overcommit", facts.memory.overcommit.value
    for device in facts.hardware.accelerators:
        yield "on the bus", f"{device.vendor.value} {device.address}, driver {device.driver or 'none'}"


def _processors(processors: ProcessorFacts) -> str:
    quota = "" if processors.quota is None else f", a quota of {processors.quota:g}"
    allowed = f"{processors.allowed} of {processors.logical} allowed ({processors.cores} cores){quota}"
    return f"{processors.name or 'unknown'}: {allowed}; {processors.threads} threads compute"


def _memory(memory: MemoryFacts) -> str:
    groups = "".join(f"; control group: {human_bytes(group.limit_bytes)}" for group in memory.groups)
    swap = f"{human_bytes(memory.swap_total_bytes)} swap" if memory.swap_total_bytes else "no swap"
    machine = f"{human_bytes(memory.machine_total_bytes)}, {swap}"
    return f"{human_bytes(memory.free_bytes)} free of {human_bytes(memory.total_bytes)} (machine: {machine}{groups})"


def _library(facts: Facts) -> Iterator[tuple[str, str]]:
    library = facts.library
    if isinstance(library, LibraryFailure):
        yield "installed", "can't be used"
        return
    yield "installed", f"llama-cpp-python {library.package}, ggml {library.version}"
    yield "built with", " ".join([*(flag.replace(" = 1", "").replace(" : ", ":") for flag in library.flags)])
    yield "backends", ", ".join(library.backends)
    for device in library.devices:
        free, total = human_bytes(device.free_bytes), human_bytes(device.total_bytes)
        yield "device", f"{device.name}: {free} free of {total}"
    yield "RPC", "built in" if library.has_rpc else "not built in"
    yield "flash attention", "works" if library.fuses_attention else "doesn't work"
    yield "matrix units", library.matrix_units.value
    yield "Reserved store", "works" if library.reserved_refusal is None else f"no: {library.reserved_refusal}"


def _server(facts: Facts) -> Iterator[tuple[str, str]]:
    version = f" (version {facts.server.version})" if facts.server.version else ""
    yield facts.server.url, f"{facts.server.state.value}{version}"
    for folder in facts.folders:
        yield folder.setting, f"{folder.path}: {folder.state.value}, {human_bytes(folder.free_bytes)} free on its disk"
    for setting in facts.settings:
        if setting.name not in {folder.setting for folder in facts.folders}:
            yield setting.name, setting.text


def _kinds(model: ModelFacts) -> list[str]:
    return [fit.cache_type for fit in model.fits]


def _model(model: ModelFacts) -> list[str]:
    """A row of the table: per cache type the window that fits now, and a mark for one cut short."""
    fits = ["-" if model.store is None else str(fit.window_tokens) for fit in model.fits]
    size = human_bytes(model.weights_bytes)
    return [model.name, size, model.store or "none", str(model.window_tokens), *fits]


def _finding(finding: Finding) -> str:
    return section(f"{_MARKS[finding.severity]}: {finding.subject}", [(finding.text,), (finding.help,)], _COLUMNS)
