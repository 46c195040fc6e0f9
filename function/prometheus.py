"""Counters, histograms and gauges in Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/

Written out here because the client library takes some 30 ms to import, and every cold start would.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

type Labels = Mapping[str, str]

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Counter:
    """Only grows. Safe to use from several threads.

    Args:
        name: ends in `_total`.
        help_line: what is counted.
    """

    def __init__(self, name: str, help_line: str) -> None:
        self._head = _head(name, help_line, "counter")
        self._name = name
        self._lock = threading.Lock()
        self._counts: dict[tuple[tuple[str, str], ...], int] = {}

    def add(self, **labels: str) -> None:
        """Count one more with these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1

    def lines(self) -> Iterator[str]:
        """Yield its text."""
        yield self._head
        with self._lock:
            counts = list(self._counts.items())
        for labels, count in counts:
            yield _sample(self._name, dict(labels), count)


class Histogram:
    """Counts seconds by size. Safe to use from several threads.

    Args:
        name: ends in `_seconds`.
        help_line: what is timed.
        bounds: upper, inclusive, in seconds, ascending; one of infinity is added.
    """

    def __init__(self, name: str, help_line: str, bounds: tuple[float, ...]) -> None:
        self._head = _head(name, help_line, "histogram")
        self._name = name
        self._bounds = bounds
        self._lock = threading.Lock()
        self._counts: dict[tuple[tuple[str, str], ...], list[int]] = {}
        self._sums: dict[tuple[tuple[str, str], ...], float] = {}

    def observe(self, seconds: float, **labels: str) -> None:
        """Count one duration with these labels."""
        key = tuple(labels.items())
        with self._lock:
            counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
            counts[bisect_left(self._bounds, seconds)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        """Yield its text."""
        yield self._head
        with self._lock:
            seen = [(key, list(counts), self._sums[key]) for key, counts in self._counts.items()]
        bounds = [*map(str, self._bounds), "+Inf"]
        for key, counts, total in seen:
            labels, below = dict(key), 0
            for bound, count in zip(bounds, counts, strict=True):
                below += count
                yield _sample(f"{self._name}_bucket", {**labels, "le": bound}, below)
            yield _sample(f"{self._name}_sum", labels, total)
            yield _sample(f"{self._name}_count", labels, below)


def gauge_lines(name: str, help_line: str, *values: tuple[Labels, float]) -> Iterator[str]:
    """Yield the text of what is measured only when it is asked for: labels and value, each."""
    yield _head(name, help_line, "gauge")
    for labels, value in values:
        yield _sample(name, labels, value)


def _head(name: str, help_line: str, kind: str) -> str:
    return f"# HELP {name} {help_line}\n# TYPE {name} {kind}\n"


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value}\n" if inside else f"{name} {value}\n"
