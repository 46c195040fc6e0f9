"""What this machine's processors can do, and how many of them are ours."""

import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from math import ceil
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")

# Products of 8-bit integers, summed in 32 bits, best first. Processors without them saturate.
INT8_INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni")
# Of bfloat16, then of float32, best first.
FLOAT_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
# The most there is: beside a thread of none it gets a seventieth of a busy processor.
_NICENESS = 19


def int8_instructions() -> str:
    """Return the best instructions for int8 that the processor has; "" if none is known.

    OpenVINO names INT8 among the capabilities of every processor, so the kernel is asked instead.
    """
    return _best_of(INT8_INSTRUCTIONS)


def float_instructions() -> str:
    """Return the best instructions for bfloat16, else float32, that the processor has; or ""."""
    return _best_of(FLOAT_INSTRUCTIONS)


def _best_of(instructions: Iterable[str]) -> str:
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:  # no Linux
        return ""
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return next((name for name in instructions if name in flags), "")


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
    """Let this thread, and those that it starts, run where others leave a processor idle.

    The kernel keeps a niceness for each thread; elsewhere than on Linux nothing is done. A thread
    cannot take it back. What it holds it holds for long, so it is for work that needs no lock of
    Python's.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


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
