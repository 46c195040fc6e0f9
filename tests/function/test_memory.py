"""Freed memory goes back to the system, or stays where the next photo takes it."""

import subprocess
import sys

import pytest

SCRIPT = """
from pathlib import Path
from function.memory import return_freed_memory, share_arenas

def resident_mb():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e3

share_arenas()
blocks = [bytearray(60_000) for _ in range(2_000)]
full = resident_mb()
kept = blocks.pop()
del blocks
return_freed_memory()
print(full - resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way")
def test_what_was_freed_below_something_kept_is_returned() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert float(ended.stdout) > 100


AGAIN = """
import resource
import sys
from function.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if int(sys.argv[1]):
    keep_freed_memory(int(sys.argv[1]))
for turn in range(50):
    if turn == 10:
        before = faults()
    # More than twice the largest of them: each time glibc gives back what they took.
    blocks = [bytearray(size) for size in (900_000, 800_000, 700_000)]
    del blocks
print((faults() - before) / 40)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way")
def test_freed_memory_that_is_kept_need_not_be_asked_for_again() -> None:
    def pages_each_time(kept_bytes: int) -> float:
        command = [sys.executable, "-c", AGAIN, str(kept_bytes)]
        return float(subprocess.run(command, capture_output=True, check=True).stdout)

    assert pages_each_time(4 << 20) < 10
    assert pages_each_time(0) > 100
