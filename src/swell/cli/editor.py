"""The user's own editor, for a message."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

_VARIABLES = ("OLLAMA_EDITOR", "VISUAL", "EDITOR")
_EDITOR = "vi"


def edited(text: str) -> str:
    """`text` as it was left by the editor, without the newline at its end; as it was if that fails, which it says."""
    command = next(filter(None, map(os.environ.get, _VARIABLES)), _EDITOR)
    with tempfile.TemporaryDirectory(prefix="swell-") as folder:
        file = Path(folder) / "message.txt"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(command), str(file)], check=True)
            return file.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            print(f"Error: the editor failed: {error}", file=sys.stderr)
            return text
