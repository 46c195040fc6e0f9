"""How many searches compute at once, and who waits for them to end.

A few searches keep all processors busy; more at once would make each of them slower and none
sooner. The others wait in the order in which they came, and only so many of them that the wait
stays short: who comes after that is told at once when to try again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from .errors import ClientLeft, DeadlineExceeded, QueueFull

# How long a client that has left may still hold its place in the queue.
_POLL_SECONDS = 0.1
# Of the newest search in the mean that a refused caller's patience is reckoned from.
_NEWEST = 0.1


class Admission:
    """Places for searches that compute, and a queue for those that wait. Safe for threads.

    Args:
        running: places, 1 or more.
        waiting: how many may wait, 0 or more.
    """

    def __init__(self, *, running: int, waiting: int) -> None:
        self._places = running
        self._free = running
        self._most_waiting = waiting
        self._queue: deque[threading.Event] = deque()
        self._lock = threading.Lock()
        self._seconds = 0.0

    @property
    def running(self) -> int:
        """Searches that compute now."""
        return self._places - self._free

    @property
    def waiting(self) -> int:
        """Searches in the queue now."""
        return len(self._queue)

    def check(self) -> None:
        """Raise QueueFull if `place` would: before the request costs anything more."""
        with self._lock:
            self._refuse_if_full()

    @contextmanager
    def place(
        self, *, until: float = float("inf"), has_left: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Wait for a place, and hold it for what runs inside.

        Args:
            until: the time on `time.monotonic`'s clock at which waiting is given up.
            has_left: whether nobody waits for the answer any more.

        Raises:
            QueueFull: too many wait already.
            DeadlineExceeded: `until` came first.
            ClientLeft: the caller did not wait for its turn.
        """
        self._enter(until, has_left)
        start = time.monotonic()
        try:
            if has_left():
                raise ClientLeft("The client left before its search began.")
            yield
            spent = time.monotonic() - start
            self._seconds += (_NEWEST if self._seconds else 1) * (spent - self._seconds)
        finally:
            self._leave()

    def _enter(self, until: float, has_left: Callable[[], bool]) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            self._refuse_if_full()
            turn = threading.Event()
            self._queue.append(turn)
        try:
            while not turn.wait(min(_POLL_SECONDS, max(0.0, until - time.monotonic()))):
                if has_left():
                    raise ClientLeft("The client left while its search waited.")
                if time.monotonic() >= until:
                    raise DeadlineExceeded(
                        "The search waited for longer than it may take. Try again in a moment."
                    )
        except BaseException:
            with self._lock:
                still_waits = turn in self._queue
                if still_waits:
                    self._queue.remove(turn)
            # Its turn came at the last moment: the place is the next one's.
            if not still_waits:
                self._leave()
            raise

    def _leave(self) -> None:
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1

    def _refuse_if_full(self) -> None:
        """The lock is held."""
        if self._free or len(self._queue) < self._most_waiting:
            return
        error = QueueFull(
            f"{len(self._queue)} searches wait already, the most that may. "
            "Try again after the seconds that Retry-After says.",
            metadata={"limit": str(self._most_waiting)},
        )
        ahead = len(self._queue) + self._places
        error.retry_after_seconds = max(1, ceil(ahead * self._seconds / self._places))
        raise error
