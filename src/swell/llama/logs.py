"""llama.cpp's log messages, routed to Python's logging under the name `swell.llama`.

What llama.cpp calls information goes to the trace level: it prints dozens of lines per load. Its errors go to the debug
level, because every failure also comes back as a return code and is raised; the last ones are kept, because some codes
are nothing but null and these lines are all there is to tell people why.
"""

import logging
from collections import deque

from swell.llama.library import VOID, api
from swell.variables import TRACE

log = logging.getLogger("swell.llama")

_ERROR, _CONTINUATION = 4, 5
_LEVELS = {1: TRACE, 2: TRACE, 3: logging.DEBUG, _ERROR: logging.DEBUG}

_recent_errors: deque[str] = deque(maxlen=4)


def _receive(level: int, message: bytes, _user_data: int | None) -> None:
    line = message.decode("utf-8", "replace").rstrip()
    if not line.strip(".") or level == _CONTINUATION:  # a row of progress dots, or the rest of a line already shown
        return
    if level == _ERROR:
        _recent_errors.append(line)
    log.log(_LEVELS.get(level, TRACE), "%s", line)


_callback = api.llama_log_callback(_receive)  # kept: C holds only the pointer


def route() -> None:
    """Send llama.cpp's messages here from now on; it writes to stderr otherwise."""
    api.llama_log_set(_callback, VOID(None))


def take_errors() -> str:
    """The latest error messages, oldest first, and forget them."""
    lines = "; ".join(_recent_errors)
    _recent_errors.clear()
    return lines or "llama.cpp gave no reason"
