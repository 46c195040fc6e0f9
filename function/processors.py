"""How many processors this process may use, of those that the machine has."""

import os
from math import ceil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_processors(cgroup: Path = CGROUP) -> int:
    """Return the processors that this process may run on, or its container's share of them if less.

    Args:
        cgroup: where the kernel shows the container's limits, of version 1 or 2.
    """
    # Python 3.13 has os.process_cpu_count, which knows no container's share either.
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = _share(cgroup)
    return max(1, min(known or 1, share or known or 1))


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
