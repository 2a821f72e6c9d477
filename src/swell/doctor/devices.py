"""Tells a server's log, when it starts, which devices there are, and why others aren't used."""

import logging
from collections.abc import Iterator, Mapping

from swell.devices import DeviceMemory
from swell.doctor.facts import HardwareFacts, LibraryFacts, LibraryFailure
from swell.doctor.findings import device_findings
from swell.doctor.library import library_facts
from swell.doctor.machine import hardware_facts
from swell.settings import Settings

log = logging.getLogger(__name__)


async def log_devices(settings: Settings, environment: Mapping[str, str]) -> None:
    """Write a line for each device that takes layers, and for each kind that could and doesn't.

    Starts a process that loads llama.cpp if the machine seems to have a device; workers are told of at each load.
    """
    hardware = hardware_facts(environment)
    if not (hardware.accelerators or hardware.reachable or hardware.hidden_by):
        log.info("no GPU on this machine: computing on its processors")
        return
    for line in device_lines(hardware, await library_facts(), settings):
        log.info("%s", line)


def device_lines(hardware: HardwareFacts, library: LibraryFacts | LibraryFailure, settings: Settings) -> Iterator[str]:
    """What is to be said of the devices, each with its memory as `settings` limit it."""
    if isinstance(library, LibraryFailure):
        yield f"llama.cpp can't be used: {library.reason}"
        return
    for device in library.devices:
        yield _in_words(settings.device_limits.limited(device))
    for finding in device_findings(hardware, library):
        yield f"{finding.text}: {finding.help}"
    if not library.devices:
        yield "computing on the processors"


def _in_words(device: DeviceMemory) -> str:
    free, total = device.free_bytes // 1_000_000, device.total_bytes // 1_000_000
    return f"layers can go to {device.name} ({device.kind.value}): {free} MB free of {total} MB"
