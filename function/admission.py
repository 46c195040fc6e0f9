"""How many searches compute at once, and who waits for them to end.

A few searches keep all processors busy; more at once would make each of them slower and none
sooner. The others wait in the order in which they came, and only so many of them that the wait
stays short: who comes after that is told at once when to try again.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from .errors import ClientLeft, DeadlineExceeded, QueueFull

# How long a client that has left may still hold its place in the queue.
_POLL_SECONDS = 0.1
# For how long, and how often, a moment without a search is looked for.
_IDLE_SECONDS = 1.0
_IDLE_POLL_SECONDS = 0.001
# A refusal takes two milliseconds, its caller's among them where that is on the same machine, and
# as much of each other processor while searches compute on all of them in step. At this pace
# callers that come again at once, as fast as they can, take a twenty-fifth of the time from those
# that were let in.
REFUSALS_PER_SECOND = 20
# The longest that one is told to wait for others that were refused, who may never come again, or
# come again too soon and are then counted twice. It spreads as many as are answered in that time.
MOST_DETOUR_SECONDS = 10.0
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
        self._last_refusal = -math.inf
        # When the last one that was refused may come again.
        self._promised = -math.inf

    @property
    def running(self) -> int:
        """Searches that compute now."""
        return self._places - self._free

    @property
    def waiting(self) -> int:
        """Searches in the queue now."""
        return len(self._queue)

    def wait_until_idle(self) -> None:
        """Return when no search computes, or after some time in which there always was one."""
        end = time.monotonic() + _IDLE_SECONDS
        while self.running and time.monotonic() < end:
            time.sleep(_IDLE_POLL_SECONDS)

    def check(self) -> None:
        """Raise QueueFull if `place` would: before the request costs anything more."""
        with self._lock:
            full = self._is_full
        if full:
            self._refuse()

    @contextmanager
    def place(
        self,
        *,
        until: float = math.inf,
        has_left: Callable[[], bool] = lambda: False,
        is_admitted: bool = False,
    ) -> Iterator[None]:
        """Wait for a place, and hold it for what runs inside.

        Args:
            until: the time on `time.monotonic`'s clock at which waiting is given up.
            has_left: whether nobody waits for the answer any more.
            is_admitted: whether its request had a place before. It is not refused then, for what it
                did would be lost; of its kind no more wait than the server has threads.

        Raises:
            QueueFull: too many wait already; told at once, but for the pace of refusals.
            DeadlineExceeded: `until` came first.
            ClientLeft: the caller did not wait for its turn.
        """
        self._enter(until, has_left, is_admitted)
        start = time.monotonic()
        try:
            if has_left():
                raise ClientLeft("The client left before its search began.")
            yield
            spent = time.monotonic() - start
            self._seconds += (_NEWEST if self._seconds else 1) * (spent - self._seconds)
        finally:
            self._leave()

    def _enter(self, until: float, has_left: Callable[[], bool], is_admitted: bool) -> None:
        turn = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                return
            full = self._is_full and not is_admitted
            if not full:
                self._queue.append(turn)
        if full:
            self._refuse()
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

    @property
    def _is_full(self) -> bool:
        return not self._free and len(self._queue) >= self._most_waiting

    def _refuse(self) -> NoReturn:
        error = QueueFull(
            f"{self._most_waiting} searches wait already, the most that may. "
            "Try again after the seconds that Retry-After says.",
            metadata={"limit": str(self._most_waiting)},
        )
        with self._lock:
            now = time.monotonic()
            each = self._seconds / self._places
            soonest = now + each * (self.running + self.waiting)
            # After those who wait, and after those who were refused before and come again: all at
            # once, they would be refused again.
            self._promised = max(soonest, min(self._promised + each, soonest + MOST_DETOUR_SECONDS))
            error.retry_after_seconds = max(1, math.ceil(self._promised - now))
            self._last_refusal = max(now, self._last_refusal + 1 / REFUSALS_PER_SECOND)
            pause = self._last_refusal - now
        time.sleep(pause)
        raise error
