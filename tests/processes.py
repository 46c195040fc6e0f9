"""The processes of a running function, found in Linux's /proc."""

from pathlib import Path

import pytest

from tests.server import RunningFunction

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="where processes are found: in Linux's /proc"
)


def children(process: int) -> list[int]:
    return list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


def worker_of(running: RunningFunction) -> int:
    """The server's one worker."""
    (worker,) = children(running.process.pid)
    return worker


def nursery_of(running: RunningFunction) -> int:
    """The process that forks others for the worker."""
    (nursery,) = children(worker_of(running))
    return nursery
