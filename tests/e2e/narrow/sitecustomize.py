"""Python imports this before anything else where PYTHONPATH names this folder.

A server then holds no more than 100 events for a client that doesn't read.
"""

import sys

if "serve" in sys.orig_argv:
    from swell.supervisor import stream

    stream.UNREAD_MAX = 100
