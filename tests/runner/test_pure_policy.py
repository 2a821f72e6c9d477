"""Policy of slots and shortages runs where there is no llama.cpp."""

import subprocess
import sys

MODULES = ("counters", "memory", "planning", "shortages", "slot_choice", "slots", "window")


def test_policy_imports_no_llama_cpp() -> None:
    """In a process of its own: this one has imported everything."""
    program = f"""
import sys
{"".join(f"import swell.runner.{name};" for name in MODULES)}
print([name for name in sys.modules if name.split(".")[0] == "llama_cpp" or name.startswith("swell.llama")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
