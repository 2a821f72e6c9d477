"""What is freed goes back to the kernel, whatever lasts beside it."""

import subprocess
import sys

import psutil

PROGRAM = """
import sys
from swell.memory.allocator import give_back_large_blocks

if sys.argv[1] == "given back":
    give_back_large_blocks()
bytearray(8 << 20)  # glibc keeps blocks up to that size from now on
large, small = [], []
for _ in range(32):
    large.append(bytearray(b"x") * (7 << 20))
    small.append(bytearray(2000))
del large
print("freed", flush=True)
input()
"""


def held_bytes(how: str) -> int:
    """What a process holds that has freed 32 blocks of 7 MB, with something small between them."""
    command = [sys.executable, "-c", PROGRAM, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        held: int = psutil.Process(process.pid).memory_info().rss
        process.stdin.write(b"\n")
    return held


def test_large_blocks_go_back() -> None:
    assert held_bytes("kept") - held_bytes("given back") > 100_000_000
