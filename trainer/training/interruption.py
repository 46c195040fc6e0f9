"""SIGTERM and Ctrl-C as a question that the training loop asks after each step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def interruption() -> Iterator[Callable[[], str | None]]:
    """Give a function that returns the name of the signal that came, None as long as none did.

    Only the first one is held back: a second ends the process at once, as it would have. A virtual
    machine about to be taken away sends SIGTERM half a minute before. Outside the main thread,
    where Python delivers no signals, nothing changes.
    """
    came: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(number).name)
        restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: came[0] if came else None
    finally:
        restore()
