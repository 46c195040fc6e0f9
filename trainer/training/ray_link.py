"""What a cluster's workers and the command that started them tell each other while they run."""

import threading
import time
from collections.abc import Callable
from io import StringIO
from types import TracebackType
from typing import Any, cast

import ray
import ray.exceptions

from trainer.progress import console

_WORD_EVERY_SECONDS = 0.25
# Where one worker refuses, the others find the same and leave, or are not waited for.
_LEAVING_SECONDS = 60.0


class Link:
    """Between workers and driver, as an actor: words go one way, a signal's name the other."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._signal: str | None = None
        self._refusals: dict[int, str] = {}
        self._begun = 0

    def begin(self, index: int) -> tuple[int, bool]:
        """A worker begins: how often the first one has, and whether all is over already."""
        self._begun += index == 0
        return self._begun, bool(self._refusals)

    def say(self, text: str) -> str | None:
        """A worker's words for the terminal; what signal came."""
        self._text.append(text)
        return self._signal

    def refuse(self, index: int, why: str) -> None:
        """A worker ends by its own decision."""
        self._refusals[index] = why

    def hear(self, signal: str | None) -> tuple[str, bool, str | None]:
        """What was said since, whether a worker has begun, and the first worker's refusal."""
        self._signal = signal
        text, self._text = "".join(self._text), []
        refusal = self._refusals[min(self._refusals)] if self._refusals else None
        return text, self._begun > 0, refusal


class Line(StringIO):
    """A worker's end of the link: a file for its console, and the signal that came."""

    def __init__(self, link: Any) -> None:
        super().__init__()
        self._link = link
        self._lock = threading.Lock()
        self._signal: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_in_touch, daemon=True)

    def __enter__(self) -> "Line":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def write(self, text: str) -> int:
        with self._lock:
            return super().write(text)

    def interrupted_by(self) -> str | None:
        """The name of the signal that came to the driver."""
        return self._signal

    def _keep_in_touch(self) -> None:
        ended = False
        while not ended:
            ended = self._over.wait(_WORD_EVERY_SECONDS)
            with self._lock:
                text = self.getvalue()
                self.seek(0)
                self.truncate()
            try:
                self._signal = ray.get(self._link.say.remote(text))
            except ray.exceptions.RayError:
                # The driver is gone, and this worker will be.
                return


def listen(
    link: Any, done: Callable[[], bool], interrupted_by: Callable[[], str | None]
) -> str | None:
    """Show what workers print and tell them of a signal, until they have ended; why they refused.

    Returns before their end where a signal came and none has begun, or some cannot leave.
    """
    refused_at: float | None = None
    while True:
        ended = done()
        signal = interrupted_by()
        text, begun, refusal = ray.get(link.hear.remote(signal))
        console.file.write(text)
        console.file.flush()
        if ended:
            return cast(str | None, refusal)
        if signal and not begun:
            return f"{signal} stopped training before it began."
        if refusal is not None:
            refused_at = refused_at or time.monotonic()
            if time.monotonic() - refused_at > _LEAVING_SECONDS:
                return cast(str, refusal)
        time.sleep(_WORD_EVERY_SECONDS)
