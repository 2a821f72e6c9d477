"""Whether the Reserved store can be trusted with this llama.cpp: looked at once, when a runner starts.

The store depends on internal structs. `layout.check` compares them; then a tiny model (probe.gguf, made by
scripts/make_probe_model.py) is decoded in a reserved context and in an ordinary one, and both must give the same logits
to the last bit. All this happens in a child process, so that even a crash is only an answer. It takes 20 ms.
"""

import os
import sys
import traceback
from pathlib import Path

from swell.errors import KvLayoutError, SwellError
from swell.llama import layout
from swell.llama.batch import Batch
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.llama.reservation import reserving
from swell.memory.resident import resident_bytes

_PROBE = Path(__file__).with_name("probe.gguf")
_SHAPE = ContextShape(cells=256, slots=2, batch_tokens=32, threads=1)
_TOKENS = [3, 1, 4, 1, 5, 9, 2, 6]
_SLOT = 1


def reserved_refusal() -> str | None:
    """Why the Reserved store can't be used here, or None when it can.

    Forks: call it before the process has threads or a model.
    """
    if not sys.platform.startswith("linux"):
        return f"reserving host memory is not supported on {sys.platform}"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reason = pipe.read().decode("utf-8", "replace")
    exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if exit_code == 0:
        return None
    return reason or f"the self-check died (exit code {exit_code})"


def check() -> None:
    """The check itself; raises KvLayoutError, or crashes. Use `reserved_refusal`."""
    layout.check()
    with LlamaModel(_PROBE) as model:
        with Context(model, _SHAPE) as ordinary:
            expected = _logits(ordinary)
        with reserving() as reservations:
            context = Context(model, _SHAPE)
        with context:
            found = _logits(context)
            names = {tensor.name for reservation in reservations for tensor in reservation.tensors}
            if not {"cache_k_l0", "cache_v_l0"} <= names:
                raise KvLayoutError(f"the KV cache is not among the reserved tensors {sorted(names)}")
            if not any(resident_bytes(region.address, region.size_bytes) for region in reservations):
                raise KvLayoutError("decoding wrote nothing into the reserved memory")
    if found != expected:
        raise KvLayoutError("a reserved context gives other logits than an ordinary one")


def _answer(writer: int) -> None:
    """Run in the child: exit code 0 when all is well, else the reason into the pipe. Never returns."""
    try:
        check()
    except SwellError as error:
        os.write(writer, str(error).encode())
    except BaseException:
        os.write(writer, traceback.format_exc(limit=-2).encode())
    else:
        os._exit(0)
    os._exit(1)


def _logits(context: Context) -> bytes:
    with Batch(_SHAPE.batch_tokens) as batch:
        for position, token in enumerate(_TOKENS):
            last = batch.add(token, position, _SLOT, wants_logits=position == len(_TOKENS) - 1)
        context.decode(batch)
        return context.logits(last)
