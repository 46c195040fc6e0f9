"""SIGTERM and Ctrl-C as a question that the training loop asks after each step."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEATED_WITHIN_SECONDS = 2.0


@contextmanager
def interruption() -> Iterator[Callable[[], str | None]]:
    """Give a function that returns the name of the signal that came, None as long as none did.

    Only the first one is held back: one that comes later ends the process at once, as it would
    have. What comes within two seconds is the same again: a terminal or a service manager tells a
    process and the one that watches it, which passes it on. A virtual
    machine about to be taken away sends SIGTERM half a minute before. Outside the main thread,
    where Python delivers no signals, nothing changes.
    """
    came: list[tuple[str, float]] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        if came and time.monotonic() - came[0][1] > REPEATED_WITHIN_SECONDS:
            restore()
            signal.raise_signal(number)
            return
        came.append((signal.Signals(number).name, time.monotonic()))

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: came[0][0] if came else None
    finally:
        restore()
