"""Measurements in processes of their own: a module is run with a request as JSON and answers with JSON."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec

from swell.bench.errors import BenchError

Request = TypeVar("Request")
Result = TypeVar("Result")

_REASON_LINES = 6


def call(module: str, request: object, result_type: type[Result]) -> Result:
    """Run `swell.bench.<module>` and wait. Raises BenchError when it fails or answers something else."""
    command = [sys.executable, "-m", f"swell.bench.{module}", msgspec.json.encode(request).decode()]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_REASON_LINES:]
        raise BenchError(module, "\n".join([f"exit code {done.returncode}", *lines]))
    try:
        return msgspec.json.decode(done.stdout, type=result_type)
    except msgspec.DecodeError as error:
        raise BenchError(module, str(error)) from error


def answer(request_type: type[Request], measure: Callable[[Request], object]) -> None:
    """Run in the child: measure what the command line asks for."""
    # C libraries write to stdout as they like; what the parent reads is only ours
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        result = measure(msgspec.json.decode(sys.argv[1], type=request_type))
        output.write(msgspec.json.encode(result))
