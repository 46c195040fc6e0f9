"""How every index, ours and the peers', is asked: it needs NumPy and nothing else."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

K = 10
# Of asking from several threads, at the least.
_SECONDS = 1.0

# One query, in the form its index takes, to its nearest rows.
Search = Callable[[np.ndarray], np.ndarray]


def timed(search: Search, queries: Sequence[np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Ask one by one, and then from as many threads as there are processors.

    Returns:
        The rows found, [queries, 10], -1 where there are fewer; the median milliseconds of a query;
        and queries/s of all threads.
    """
    for query in queries[:100]:
        search(query)
    found, taken = np.full((len(queries), K), -1), []
    for number, query in enumerate(queries):
        start = time.perf_counter()
        rows = search(query)
        taken.append(time.perf_counter() - start)
        found[number, : len(rows)] = rows
    threads = os.cpu_count() or 1
    parts = [queries[number::threads] for number in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        start, rounds, seconds = time.perf_counter(), 0, 0.0
        while seconds < _SECONDS:
            for _ in pool.map(lambda part: [search(query) for query in part], parts):
                pass
            rounds, seconds = rounds + 1, time.perf_counter() - start
    return found, 1e3 * float(np.median(taken)), rounds * len(queries) / seconds


def resident_mb() -> float:
    """Of this process now, the files that it maps included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
