"""A tracker that lives across a network, kept from ever stopping or slowing training."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from queue import Empty, Full, Queue
from threading import Thread

from rich.markup import escape

from trainer.progress import console
from trainer.tracking.tracker import Tracker

CLOSING_SECONDS = 10.0
"""How long the end of training waits for points to arrive: spot machines give 30 s for all."""

SHARE_FOR_POINTS = 0.8
"""Of that time, for points that still wait; the rest is for the tracker to close."""

POINTS_HELD = 10_000
"""Points that may wait for a slow tracker; those beyond are lost to it."""

type _Call = Callable[[Tracker], None]


class Background(Tracker):
    """Hands each call to a thread and returns at once.

    What goes wrong there is said once on stderr. Points are then missing in that tracker, and in
    it alone. It is closed all the same: where too many wait in the end, the last of them give way.
    """

    def __init__(
        self,
        label: str,
        open_tracker: Callable[[], Tracker],
        *,
        closing_seconds: float = CLOSING_SECONDS,
        points_held: int = POINTS_HELD,
    ) -> None:
        """Begin to open the tracker.

        Args:
            label: its name, for people.
            open_tracker: may take as long as it likes, and fail.
            closing_seconds: how long `close` waits.
            points_held: calls that may wait, at least 1.
        """
        self._label = label
        self._open = open_tracker
        self._closing_seconds = closing_seconds
        self._calls = Queue[_Call | None](points_held)
        self._warned = self._failed = False
        self._points_until = inf
        # A daemon: a request that hangs does not keep the process from ending.
        self._thread = Thread(target=self._work, name=f"tracking: {label}", daemon=True)
        self._thread.start()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        held = dict(scalars)
        self._enqueue(lambda tracker: tracker.write(step, held))

    def publish(self) -> None:
        self._enqueue(lambda tracker: tracker.publish())

    def close(self, *, failed: bool) -> None:
        self._failed = failed
        self._points_until = time.monotonic() + SHARE_FOR_POINTS * self._closing_seconds
        self._enqueue(None)
        self._thread.join(self._closing_seconds)
        if self._thread.is_alive():
            self._warn(f"it did not answer for {self._closing_seconds:g} s")

    def _enqueue(self, call: _Call | None) -> None:
        try:
            self._calls.put_nowait(call)
        except Full:
            self._warn(f"it is {self._calls.maxsize:,} points behind")
            if call is None:
                # The end must be seen: one point more or less no longer matters.
                with suppress(Empty):
                    self._calls.get_nowait()
                self._calls.put_nowait(None)

    def _work(self) -> None:
        try:
            tracker = self._open()
        except Exception as error:  # noqa: BLE001 - no failure here may reach training
            self._warn(_described(error))
            return
        while (call := self._calls.get()) is not None:
            if time.monotonic() < self._points_until:
                self._tell(tracker, call)
            else:
                self._warn("it is too slow for the points that waited in the end")
        self._tell(tracker, lambda tracker: tracker.close(failed=self._failed))

    def _tell(self, tracker: Tracker, call: _Call) -> None:
        try:
            call(tracker)
        except Exception as error:  # noqa: BLE001 - as above
            self._warn(_described(error))

    def _warn(self, cause: str) -> None:
        if not self._warned:
            self._warned = True
            console.print(
                f"[yellow]![/] {self._label}: {escape(cause)}. Training goes on; points may be "
                "missing there. The run's curves.jsonl has them all.",
                soft_wrap=True,
                highlight=False,
            )


def _described(error: Exception) -> str:
    """The first line: clients of servers put whole replies into their messages."""
    return f"{type(error).__name__}: {str(error).strip().partition('\n')[0].rstrip('.')}"
