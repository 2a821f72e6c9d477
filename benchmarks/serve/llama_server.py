"""Child process: llama.cpp's own server, as the `xllamacpp` wheel brings it. Serves until it is killed."""

import importlib
import signal
import sys


def main() -> None:
    """Arguments: model, port, slots, window in tokens of each slot, threads."""
    model, port, slots, window_tokens, threads = sys.argv[1], *map(int, sys.argv[2:])
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = window_tokens * slots
    parameters.n_parallel = slots
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
