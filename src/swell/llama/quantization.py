"""Weights in another type, by llama.cpp's own quantiser, as a program: llama.cpp may end it, and it takes minutes.

`python -m swell.llama.quantization SOURCE DESTINATION TYPE THREADS` ends with 0 if all went well; otherwise standard
error says why. It ends when its standard input does. Of a split model, SOURCE is the first file, and the result is one.
The type COPY leaves every tensor as it is.
"""

import os
import sys
import threading
from collections.abc import Sequence

from swell.errors import QuantizeError
from swell.llama import logs
from swell.llama.library import api, start
from swell.priority import compute_last

COPY = "COPY"
_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7, "Q4_K_S": 14, "Q4_K_M": 15, "BF16": 32}
"""`llama_ftype` of each type that Ollama has."""


def quantize(source: str, destination: str, file_type: str, threads: int) -> None:
    """Write the weights of `source` to `destination`. Raises QuantizeError."""
    parameters = api.llama_model_quantize_default_params()
    parameters.nthread = threads
    parameters.only_copy = file_type == COPY
    parameters.ftype = _FILE_TYPES.get(file_type, parameters.ftype)
    if api.llama_model_quantize(os.fsencode(source), os.fsencode(destination), parameters) != 0:
        raise QuantizeError(logs.take_errors())


def main(arguments: Sequence[str]) -> int:
    """Run the program."""
    source, destination, file_type, threads = arguments
    threading.Thread(target=_end_with_input, daemon=True).start()
    logs.route()
    start()
    try:
        quantize(source, destination, file_type, int(threads))
    except QuantizeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_input() -> None:
    """The server that started this is gone when its end of the pipe is; nobody needs the result then."""
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    os._exit(1)


if __name__ == "__main__":
    compute_last()
    sys.exit(main(sys.argv[1:]))
