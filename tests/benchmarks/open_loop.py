"""Searches that come when they come, whether or not those before them are answered.

A client that waits for its answer before it asks again asks less while a server stalls, and hides
the stall. Here each search has its time beforehand, and what it takes counts from then (Schroeder
et al., "Open versus closed: a cautionary tale", NSDI 2006). They come at equal distances: what one
takes longer than another is then the server's doing, and not chance that made them meet.
"""

import http.client
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from tests.benchmarks.http_load import connect, post

# More than are ever answered at once at a moderate rate: a search that is due finds one free.
CLIENTS = 16


@dataclass(frozen=True)
class Asked:
    """One search.

    Attributes:
        due: when it should begin, on `time.perf_counter`'s clock.
        seconds: from then to its answer.
        version: of the index that answered; "" where none did.
        failure: what came instead of an answer.
    """

    due: float
    seconds: float
    version: str
    failure: str = ""


@contextmanager
def asking(port: int, photos: Sequence[bytes], rate: float) -> Iterator[list[Asked]]:
    """Search for what runs inside, `rate` times a second; the list grows with every answer.

    Args:
        port: of a server on this machine, with which the clients share the processors.
        photos: posted in turn.
        rate: searches a second.
    """
    asked: list[Asked] = []
    ended = threading.Event()
    coming = threading.Lock()
    arrivals = _arrivals(rate)

    def client() -> None:
        while not ended.is_set():
            with coming:
                number, due = next(arrivals)
            if ended.wait(max(0.0, due - time.perf_counter())):
                break
            version = failure = ""
            # One of its own: the server closes those that were idle for two seconds.
            connection = connect(port)
            try:
                version = post(connection, photos[number % len(photos)])["indexVersion"]
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                failure = f"{type(error).__name__}: {error}"
            asked.append(Asked(due, time.perf_counter() - due, version, failure))
            connection.close()

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    try:
        yield asked
    finally:
        ended.set()
        for one in clients:
            one.join()


def _arrivals(rate: float) -> Iterator[tuple[int, float]]:
    start = time.perf_counter()
    for number in count(1):
        yield number, start + number / rate


def between(asked: Iterable[Asked], start: float, end: float) -> list[Asked]:
    """Those that were due from `start` to `end`."""
    return [one for one in list(asked) if start <= one.due < end]


def first_of(asked: list[Asked], version: str, patience_seconds: float = 120.0) -> float:
    """Wait for the first answer of a version that begins from now on; return when it was due."""
    seen, end = len(asked), time.perf_counter() + patience_seconds
    while time.perf_counter() < end:
        for one in asked[seen:]:
            if one.version == version:
                return one.due
        time.sleep(0.02)
    raise RuntimeError(f"expected answers of {version} within {patience_seconds:.0f} s; found none")
