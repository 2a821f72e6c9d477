"""The process that finds out what llama.cpp is and can do: it checks as a runner does, and prints LibraryFacts."""

import importlib.metadata
import os
import sys

import msgspec

from swell.doctor.facts import LibraryFacts, MatrixUnits
from swell.errors import SwellError


def measure() -> LibraryFacts:
    """Raises LibraryError, or ends the process where the library does."""
    # imported here, so that an error of theirs is caught
    from swell.kv.selfcheck import reserved_refusal
    from swell.llama import about, amx, devices, logs, processor

    logs.route()
    units = MatrixUnits.ABSENT
    if amx.is_compiled_in():
        units = MatrixUnits.BROKEN if amx.is_broken() else MatrixUnits.WORKING
    refusal = reserved_refusal()  # forks, as the line above does: before there are threads
    build = about.library_build()
    return LibraryFacts(
        package=importlib.metadata.version("llama-cpp-python"),
        version=build.version,
        flags=list(build.flags),
        backends=list(build.backends),
        devices=[device.memory() for device in devices.local_devices()],
        has_rpc=build.has_rpc,
        fuses_attention=about.fuses_attention(),
        matrix_units=units,
        reserved_refusal=refusal,
        threads_refusal=processor.refusal(),
    )


def main() -> None:
    """Print the facts, alone: C libraries write to stdout as they like. An error ends the process with its text."""
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        try:
            output.write(msgspec.json.encode(measure()))
        except SwellError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
