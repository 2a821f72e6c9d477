"""What a server's log says of devices when it starts."""

import asyncio
import logging

import msgspec
import psutil
import pytest
from tests.doctor.facts import CUDA, LIBRARY, nvidia

from swell.doctor.devices import device_lines, log_devices
from swell.doctor.facts import LibraryFailure
from swell.memory.device_limits import parse_device_limits
from swell.settings import Settings

replace = msgspec.structs.replace


def test_a_device_that_takes_layers_is_named_with_what_may_be_taken() -> None:
    library = replace(LIBRARY, backends=["CUDA", "CPU"], devices=[CUDA])
    settings = Settings(device_limits=parse_device_limits("400MB"))
    assert list(device_lines(nvidia(), library, settings)) == [
        "layers can go to CUDA0 (gpu): 400 MB free of 400 MB",
    ]


def test_a_device_that_is_not_used_is_explained_with_what_to_do() -> None:
    why, where = device_lines(nvidia(), LIBRARY, Settings())
    assert why.startswith("1 NVIDIA device not used: llama.cpp was built for CPU only: ")
    assert "CMAKE_ARGS=-DGGML_CUDA=on" in why
    assert where == "computing on the processors"


def test_a_library_that_does_not_load_is_told_of() -> None:
    (line,) = device_lines(nvidia(), LibraryFailure(exit_code=1, reason="no such file"), Settings())
    assert line == "llama.cpp can't be used: no such file"


@pytest.mark.model
def test_the_library_is_asked_where_a_device_may_be(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        asyncio.run(log_devices(Settings(), {"CUDA_VISIBLE_DEVICES": "0"}))
    assert caplog.messages[-1] == "computing on the processors"


@pytest.mark.slow
def test_one_who_stops_while_the_library_is_asked_leaves_no_process(caplog: pytest.LogCaptureFixture) -> None:
    others = psutil.Process().children()

    async def stop_early() -> None:
        telling = asyncio.create_task(log_devices(Settings(), {"CUDA_VISIBLE_DEVICES": "0"}))
        while len(psutil.Process().children()) == len(others):
            await asyncio.sleep(0.01)
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
        assert psutil.Process().children() == others

    with caplog.at_level(logging.INFO):
        asyncio.run(stop_early())
    assert caplog.messages == []
