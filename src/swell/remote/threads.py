"""With how many threads a worker computes for one client."""

import threading
from typing import NoReturn

from swell.processors.governor import Governor

PAUSE_S = 0.5
"""Threads of a client that had nothing to compute for so long are free for other clients."""


class ClientThreads:
    """Asks the governor before each graph, and tells it when there was none for PAUSE_S seconds.

    llama.cpp doesn't say when it waits for its client, so a thread looks whether a graph was computed.
    """

    def __init__(self, governor: Governor) -> None:
        self._governor = governor
        self._lock = threading.Lock()
        self._computing = False
        self._graphs = 0
        self.now = governor.use.now
        """How many threads to begin with."""
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> int:
        """The number of threads for the graph that is computed next."""
        with self._lock:
            self._computing = True
            self._graphs += 1
            return self._governor.threads_for_step()

    def end(self) -> None:
        """The graph is computed."""
        self._computing = False

    def _watch(self) -> NoReturn:
        pause, seen = threading.Event(), 0
        while True:
            pause.wait(PAUSE_S)
            with self._lock:
                if not self._computing and self._graphs == seen:
                    self._governor.rest()
                seen = self._graphs
