"""Where the time of training goes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Clock:
    """How fast training is, and whether photos or the device are waited for."""

    def __init__(self, photos_per_step: int) -> None:
        """Start; the first step compiles, and is left out of all speeds."""
        self._photos_per_step = photos_per_step
        self._start = time.monotonic()
        self._steps = 0
        self._first = self._last = self._start
        self._waited = {"input": 0.0, "device": 0.0}
        self._lap = (0, self._start, 0.0, 0.0)

    @property
    def seconds(self) -> float:
        """Since training began."""
        return time.monotonic() - self._start

    @property
    def photos_per_second(self) -> float | None:
        """Since the first step was seen to end; None until another was."""
        if self._steps < 2 or self._last <= self._first:
            return None
        return (self._steps - 1) * self._photos_per_step / (self._last - self._first)

    def tick(self) -> None:
        """A step has ended on the device, when the host looks, having started the next.

        A step of which none follows is not told of: where starting one takes as long as computing
        it, as on a CPU it may, it would seem to take no time.
        """
        self._steps += 1
        self._last = time.monotonic()
        if self._steps == 1:
            self._first = self._last
            self._begin_lap()

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """Count the block's time as waiting for "input" or for the "device"."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._waited[what] += time.monotonic() - start

    def inputs[T](self, batches: Iterable[T]) -> Iterator[T]:
        """Yield the batches, counting how long each is waited for."""
        iterator = iter(batches)
        while True:
            with self.waiting_for("input"):
                batch = next(iterator, None)
            if batch is None:
                return
            yield batch

    def lap(self) -> dict[str, float]:
        """Return what happened since the last lap, and begin another.

        Returns:
            steps_per_second, photos_per_second; input_wait and device_wait, shares of the time in
            which the host waited for photos, or for the device to end a step: near 1 is good for
            the device, near 0 for input. Empty where no step has ended since.
        """
        steps, start, input_wait, device_wait = self._lap
        done, seconds = self._steps - steps, self._last - start
        if done < 1 or seconds <= 0:
            return {}
        until_now = time.monotonic() - start
        figures = {
            "steps_per_second": done / seconds,
            "photos_per_second": done * self._photos_per_step / seconds,
            "input_wait": (self._waited["input"] - input_wait) / until_now,
            "device_wait": (self._waited["device"] - device_wait) / until_now,
        }
        self._begin_lap()
        return figures

    def _begin_lap(self) -> None:
        self._lap = (self._steps, self._last, self._waited["input"], self._waited["device"])
