"""Load once per worker, after the fork, behind a lock; swap without dropping a request.

The server imports the function in a parent process and forks its workers from that. Thread pools
do not survive a fork, so nothing that starts one may load in the parent: each worker loads in a
thread of its own that starts right after the fork, and where there is no fork, the first request
starts it. A failed load is tried again by a later request, at growing intervals: between requests
the platform may take the processor away. For the same reason it is requests that start the look
for a successor, and none of them waits for it.
"""

import gc
import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial

from .errors import FunctionError, ReleaseError, Unavailable
from .telemetry import log, log_exception

FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0
# Between looks for a successor that fail.
LONGEST_RENEWAL_SECONDS = 900.0
# What was replaced is held by the requests that began with it: longer than any of them takes.
LAST_REQUEST_SECONDS = 60.0
# Longer than nearly all of them take: at 70 % of the peak, one of a hundred took 0.12 s or more.
MOST_REQUESTS_SECONDS = 0.5


class Worker[T]:
    """Holds what `load` returned, once it did, and later what `renew` did.

    Whoever was given it holds it for as long as it uses any part of it, so that what was replaced
    is freed with the last request that began with it.

    Args:
        load: slow; called in a thread, never twice at once, never again after it returned.
        wait_seconds: how long `get` waits for a load under way.
        renew: given what is held, returns what is to take its place: itself where nothing does.
            Slow; called in a thread.
        renew_seconds: from one look to the next, at the least; 0: `renew` is never called.
        pause: returns at a moment at which few wait: what was replaced is freed then.
        settle: called after a replacement, once what was replaced is gone, with what is held.
    """

    def __init__(
        self,
        load: Callable[[], T],
        *,
        wait_seconds: float,
        renew: Callable[[T], T] = lambda held: held,
        renew_seconds: float = 0.0,
        pause: Callable[[], None] = lambda: None,
        settle: Callable[[T], None] = lambda held: None,
    ) -> None:
        self._load = load
        self._wait_seconds = wait_seconds
        self._renew = renew
        self._renew_seconds = renew_seconds
        self._pause = pause
        self._settle = settle
        self._reset()

    def _reset(self) -> None:
        # A lock that another thread held at the fork would stay locked for ever in the child.
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._thread: threading.Thread | None = None
        self._held: T | None = None
        self._failures = 0
        self._due_at = 0.0

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
        """Return what is held; begin to load where nobody has yet, or to renew where that is due.

        Args:
            wait: for a load under way, up to `wait_seconds`.

        Raises:
            Unavailable: it is still loading.
            ReleaseError: the last load failed.
        """
        if time.monotonic() >= self._due_at:
            self._begin()
        if self._held is None:
            self._settled.wait(self._wait_seconds if wait else 0)
        if self._held is not None:
            return self._held
        if self._settled.is_set():
            raise self._failed()
        raise Unavailable("The release is still loading. Try again in a moment.")

    @property
    def is_ready(self) -> bool:
        """Whether `get` returns at once."""
        return self._held is not None

    def _begin(self) -> None:
        with self._lock:
            busy = self._thread is not None and self._thread.is_alive()
            if busy or time.monotonic() < self._due_at:
                return
            if self._held is None:
                self._settled.clear()
            attempt = self._fill if self._held is None else self._replace
            self._thread = threading.Thread(target=attempt, name="load-release", daemon=True)
            self._thread.start()

    def _fill(self) -> None:
        try:
            self._held = self._load()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the worker must answer
            self._put_off(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
            if isinstance(error, FunctionError):
                log("ERROR", f"No release was loaded: {error.message}", reason=error.reason)
            else:
                log_exception("No release was loaded.", error)
        else:
            self._rest()
        finally:
            self._settled.set()

    def _replace(self) -> None:
        try:
            gone = self._swap()
            self._rest()
            if gone is not None:
                if not gone.wait(LAST_REQUEST_SECONDS):
                    gc.collect()
                self._settle(self.get())
        except Exception as error:  # noqa: BLE001 - what is held serves on
            often = self._renew_seconds
            self._put_off(2 * often, max(often, LONGEST_RENEWAL_SECONDS))
            if isinstance(error, FunctionError):
                log(
                    "WARNING",
                    f"The release serves on; no other was looked for: {error.message}",
                    reason=error.reason,
                )
            else:
                log_exception("The release serves on; loading another one failed.", error)
            # That holds what was loaded and is held, and may be held in a circle itself.
            error.with_traceback(None)

    def _swap(self) -> threading.Event | None:
        """Replace what is held; return what is set as soon as that is gone. None: nothing is new.

        Nothing that outlives this method may hold what is replaced.
        """
        held = self.get()
        successor = self._renew(held)
        if successor is held:
            return None
        gone = threading.Event()
        weakref.finalize(held, gone.set).atexit = False
        self._held = successor
        # To free a program takes as long as a search, holds Python's lock all the while, and falls
        # to whoever holds it last: that should be this thread, and no request.
        time.sleep(MOST_REQUESTS_SECONDS)
        self._pause()
        return gone

    def _rest(self) -> None:
        self._failures = 0
        self._due_at = time.monotonic() + (self._renew_seconds or math.inf)

    def _put_off(self, first_seconds: float, longest_seconds: float) -> None:
        delay = min(first_seconds * 2**self._failures, longest_seconds)
        self._failures += 1
        self._due_at = time.monotonic() + delay

    def _failed(self) -> ReleaseError:
        error = ReleaseError(
            "There is no release that can be served. The function's log says which and why."
        )
        error.retry_after_seconds = max(1, round(self._due_at - time.monotonic()))
        return error
