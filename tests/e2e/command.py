"""`swell`, started as a shell would start it."""

import os
import subprocess
import sys

WINDOW = {"OLLAMA_CONTEXT_LENGTH": "96"}
"""The commands sample, and now and then the little model doesn't know when to stop: a small window ends its answer."""
MARK = "SWELL_TEST_MARK"


def swell(*arguments: str, host: str, stdin: str | None = None, mark: str = "") -> subprocess.CompletedProcess[str]:
    """All processes that come of it have `mark` in their environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OLLAMA_")}
    return subprocess.run(
        [sys.executable, "-m", "swell", *arguments],
        env={**environment, **WINDOW, "OLLAMA_HOST": host, MARK: mark},
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=120,
    )
