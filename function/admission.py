"""How many searches compute at once, how many wait their turn, and for how long.

A search takes all processors for some milliseconds, so more of them at once make each slower and
none sooner. A few run; others wait in order of arrival; who finds the queue full is told at once
when to come back. Nobody waits in vain: a search whose deadline has passed, or whose client has
left, gives its place up.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from .errors import ClientLeft, DeadlineExceeded, QueueFull

# How often one that waits looks whether its client is still there.
PEEK_SECONDS = 0.05

# Refusals are paced: each costs about a thirtieth of an answer, so clients that ask again at once,
# as fast as they can, would take the processors from those that are let in.
REFUSALS_PER_SECOND = 200

# Share of the newest in the running mean of how long a search computes.
_NEWEST = 0.1


@dataclass(frozen=True)
class Deadline:
    """When an answer comes too late.

    Attributes:
        seconds: how long there was from the start.
        ends: the moment, on `time.monotonic`'s clock.
    """

    seconds: float
    ends: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Start to count."""
        return cls(seconds, time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left; negative once it has passed."""
        return self.ends - time.monotonic()

    def check(self) -> None:
        """Raise DeadlineExceeded once it has passed."""
        if self.remaining < 0:
            raise DeadlineExceeded(
                f"The search took longer than {self.seconds:g} s. Try again, with a smaller photo "
                "where it was a large one.",
                metadata={"limit": f"{self.seconds:g}"},
            )


class Admission:
    """Lets a bounded number in; safe to use from several threads.

    Args:
        max_running: inside at once, at least 1.
        max_queued: waiting at once, at least 0.
    """

    def __init__(self, *, max_running: int, max_queued: int) -> None:
        self._max_running = max_running
        self._max_queued = max_queued
        self._lock = threading.Lock()
        # Set when its turn comes. Only while all who may run do, does anybody wait.
        self._queue: deque[threading.Event] = deque()
        self._running = 0
        self._mean_seconds = 0.0
        self._last_refusal = -math.inf

    @property
    def running(self) -> int:
        """How many are inside."""
        return self._running

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    def check_room(self) -> None:
        """Raise QueueFull where there is no place now, not even to wait."""
        with self._lock:
            if not self._is_full:
                return
        self._refuse()

    @contextmanager
    def admit(self, deadline: Deadline, has_left: Callable[[], bool]) -> Iterator[None]:
        """Wait for a turn, and hold it inside the context.

        Args:
            deadline: until when to wait.
            has_left: whether the client is gone; asked while waiting and when the turn comes.

        Raises:
            QueueFull: too many wait already; at once, but for the pace of refusals.
            DeadlineExceeded: the turn did not come in time.
            ClientLeft: nobody waits for the answer any more.
        """
        self._enter(deadline, has_left)
        start = time.monotonic()
        try:
            yield
        finally:
            self._leave(time.monotonic() - start)

    def _enter(self, deadline: Deadline, has_left: Callable[[], bool]) -> None:
        turn = threading.Event()
        with self._lock:
            full = self._is_full
            if self._running < self._max_running:
                self._running += 1
                turn.set()
            elif not full:
                self._queue.append(turn)
        if full:
            self._refuse()
        try:
            has_turn = False
            while not has_turn:
                has_turn = turn.wait(min(PEEK_SECONDS, deadline.remaining))
                deadline.check()
                if has_left():
                    raise ClientLeft("The client closed the connection before its turn came.")
        except BaseException:
            self._give_up(turn)
            raise

    def _leave(self, seconds: float) -> None:
        with self._lock:
            change = seconds - self._mean_seconds
            self._mean_seconds += change * (_NEWEST if self._mean_seconds else 1)
            self._pass_on()

    def _give_up(self, turn: threading.Event) -> None:
        with self._lock:
            # It may have come in the meantime.
            if turn.is_set():
                self._pass_on()
            else:
                self._queue.remove(turn)

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self._running -= 1

    @property
    def _is_full(self) -> bool:
        return self._running >= self._max_running and len(self._queue) >= self._max_queued

    def _refuse(self) -> NoReturn:
        error = QueueFull("Too many searches wait already. Try again after Retry-After seconds.")
        with self._lock:
            # When the last of those that are here now will be done.
            turns = (self._running + len(self._queue)) / self._max_running
            error.retry_after_seconds = max(1, math.ceil(turns * self._mean_seconds))
            now = time.monotonic()
            self._last_refusal = max(now, self._last_refusal + 1 / REFUSALS_PER_SECOND)
            pause = self._last_refusal - now
        time.sleep(pause)
        raise error
