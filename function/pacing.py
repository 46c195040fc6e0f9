"""How loading a release treats the searches that go on meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass


def _at_once() -> None:
    pass


@dataclass(frozen=True)
class Pacing:
    """What loading does for others. The default is nothing: there are none yet.

    Attributes:
        begin_thread: called in each thread that hashes or compiles, which needs no lock of Python's
            and may take its time.
        pause: called before each step that would hold others up.
    """

    begin_thread: Callable[[], None] = _at_once
    pause: Callable[[], None] = _at_once


AT_ONCE = Pacing()
