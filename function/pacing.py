"""How loading a release treats the searches that go on meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass


def _at_once() -> None:
    pass


@dataclass(frozen=True)
class Pacing:
    """What loading does for others. The default is nothing: there are none yet.

    Attributes:
        begin_thread: called in each thread that hashes, compiles or compares, which rarely needs
            Python's lock and may take its time.
        pause: called before each step that would hold others up.
        side_by_side: whether parts are loaded at the same time. Beside two that took much memory
            from the system, be they as nice as can be, searches took up to ten times as long;
            beside one, no longer.
    """

    begin_thread: Callable[[], None] = _at_once
    pause: Callable[[], None] = _at_once
    side_by_side: bool = True


AT_ONCE = Pacing()
