"""Load once per worker, after the fork, behind a lock.

The server imports the function in a parent process and forks its workers from that. Thread pools
do not survive a fork, so nothing that starts one may load in the parent: each worker loads in a
thread of its own that starts right after the fork, and where there is no fork, the first request
starts it. A failed load is tried again by a later request, at growing intervals: between requests
the platform may take the processor away.
"""

import os
import threading
import time
from collections.abc import Callable
from functools import partial

from .errors import FunctionError, ReleaseError, Unavailable
from .telemetry import log, log_exception

FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0


class Worker[T]:
    """Holds what `load` returned, once it did.

    Args:
        load: slow; called in a thread, never twice at once, never again after it returned.
        wait_seconds: how long `get` waits for a load under way.
    """

    def __init__(self, load: Callable[[], T], *, wait_seconds: float) -> None:
        self._load = load
        self._wait_seconds = wait_seconds
        self._reset()

    def _reset(self) -> None:
        # A lock that another thread held at the fork would stay locked for ever in the child.
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._thread: threading.Thread | None = None
        self._loaded: T | None = None
        self._failures = 0
        self._retry_at = 0.0

    def start_after_fork(self, first: Callable[[], bool] = lambda: True) -> None:
        """Make every process that is forked from now on begin to load at once.

        Args:
            first: called before, while the process has no threads; False: it is not to load.
        """
        os.register_at_fork(after_in_child=partial(self._begin_anew, first))

    def _begin_anew(self, first: Callable[[], bool]) -> None:
        if not first():
            return
        self._reset()
        self._begin()

    def get(self, *, wait: bool = True) -> T:
        """Return what was loaded; begin to load where nobody has yet.

        Args:
            wait: for a load under way, up to `wait_seconds`.

        Raises:
            Unavailable: it is still loading.
            ReleaseError: the last load failed.
        """
        if self._loaded is None:
            self._begin()
            self._settled.wait(self._wait_seconds if wait else 0)
        if self._loaded is not None:
            return self._loaded
        if self._settled.is_set():
            raise self._failed()
        raise Unavailable("The release is still loading. Try again in a moment.")

    @property
    def is_ready(self) -> bool:
        """Whether `get` returns at once."""
        return self._loaded is not None

    def _begin(self) -> None:
        with self._lock:
            busy = self._thread is not None and self._thread.is_alive()
            if busy or self._loaded is not None or time.monotonic() < self._retry_at:
                return
            self._settled.clear()
            self._thread = threading.Thread(target=self._run, name="load-release", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._loaded = self._load()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the worker must answer
            self._failures += 1
            delay = min(FIRST_RETRY_SECONDS * 2 ** (self._failures - 1), LONGEST_RETRY_SECONDS)
            self._retry_at = time.monotonic() + delay
            if isinstance(error, FunctionError):
                log("ERROR", f"No release was loaded: {error.message}", reason=error.reason)
            else:
                log_exception("No release was loaded.", error)
        finally:
            self._settled.set()

    def _failed(self) -> ReleaseError:
        error = ReleaseError(
            "There is no release that can be served. The function's log says which and why."
        )
        error.retry_after_seconds = max(1, round(self._retry_at - time.monotonic()))
        return error
