"""Freed memory goes back to the system."""

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
