"""What this machine's processors can do, and how many of them are ours."""

import os
import sys
import threading
from contextlib import suppress
from math import ceil
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")

# Products of 8-bit integers, summed in 32 bits, best first. Processors without them saturate.
INT8_INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni")

# Beside a thread of ten less it gets a tenth. Of twenty less it would get a seventieth, and whoever
# waits for a lock that it holds would wait for as much longer.
_NICENESS = 10


def int8_instructions() -> str:
    """Return the best instructions for int8 that the processor has; "" if none is known.

    OpenVINO names INT8 among the capabilities of every processor, so the kernel is asked instead.
    """
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:  # no Linux
        return ""
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return next((name for name in INT8_INSTRUCTIONS if name in flags), "")


def usable_processors(cgroup: Path = CGROUP) -> int:
    """Return the processors that this process may run on, or its container's share of them if less.

    Args:
        cgroup: where the kernel shows the container's limits, of version 1 or 2.
    """
    # Python 3.13 has os.process_cpu_count, which knows no container's share either.
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = _share(cgroup)
    return max(1, min(known or 1, share or known or 1))


def stand_back() -> None:
    """Let this thread, and those that it starts, take from others little of a busy processor.

    The kernel keeps a niceness for each thread; elsewhere than on Linux nothing is done. A thread
    cannot take it back, so it is for one that ends when its work is done.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
            os.setpriority(os.PRIO_PROCESS, thread, niceness)


def _share(cgroup: Path) -> int | None:
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota, period = (
                (cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        # "max" in version 2 and -1 in version 1 mean no limit.
        return ceil(int(quota) / int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None
