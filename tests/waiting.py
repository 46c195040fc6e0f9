"""Waiting for what another thread or process is about to do."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


def eventually(holds: Callable[[], bool]) -> None:
    """Return as soon as it holds; AssertionError where it never does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)
