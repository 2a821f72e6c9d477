"""Whether this build of llama.cpp can use the matrix units (AMX) that newer processors of Intel have.

GCC 12.2 leaves out most of the writes that set the units up: its `_tile_loadconfig` doesn't say how much it reads. The
first prompt then ends the process with SIGILL (seen with llama-cpp-python 0.3.36). Nothing in the library tells, so a
tiny model (probe_q8_0.gguf, made by scripts/make_probe_models.py) is computed in a child process.
"""

import ctypes
import faulthandler
import logging
import os
from functools import cache
from pathlib import Path

from swell.llama import library, logs
from swell.llama.library import VOID, api

log = logging.getLogger(__name__)

_PROBE = Path(__file__).with_name("probe_q8_0.gguf")
_TOKENS = 8
"""More than one, which would be multiplied without the units."""


@cache
def is_broken() -> bool:
    """Whether computing with the units ends the process. Without such units nothing is computed.

    Forks the first time: call it before the process has a model, since OpenMP hangs after a fork. It takes 8 ms.
    """
    library.start()
    if not is_compiled_in():
        return False
    child = os.fork()
    if child == 0:
        _compute()
    exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if exit_code:
        log.warning(
            "the matrix units (AMX) of this processor are not used, nor other layouts of weights: this llama.cpp was "
            "compiled wrongly for them (exit code %d); see docs/dependencies.md",
            exit_code,
        )
    return exit_code != 0


def is_compiled_in() -> bool:
    """Whether the library was compiled to use the units."""
    return b"AMX_INT8 = 1" in api.llama_print_system_info()


def _compute() -> None:
    """Run in the child. Never returns."""
    faulthandler.disable()  # its end is only an answer
    logs.route()
    placement = api.llama_model_default_params()
    no_devices = (VOID * 1)(None)  # by default the model would be on a GPU, if there is one
    placement.devices, placement.n_gpu_layers = ctypes.cast(no_devices, VOID), 0
    model = api.llama_model_load_from_file(os.fsencode(_PROBE), placement)
    parameters = api.llama_context_default_params()
    parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 32, 1, 1
    context = api.llama_init_from_model(model, parameters)
    tokens = (api.llama_token * _TOKENS)(*range(_TOKENS))
    os._exit(api.llama_decode(context, api.llama_batch_get_one(tokens, _TOKENS)) & 0xFF)
