"""The function with more clients than it can answer: throughput, latency and what it refuses.

    python -m tests.benchmarks.overload [--root ROOT] [--running 1 2 3] [--queued 8] [--seconds 6]

1 to 64 clients post photos of 1024×768, 64 different ones, to the real server as fast as they can;
one that is refused asks again at once, whatever Retry-After says: the worst case. They share the
machine with the server. Limits of the same run: throughput should not fall past its peak, and an
answer should not take longer than all who may run and wait before it: (running + queued) ÷ answers
a second.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from tests.benchmarks.http_load import connect, load, send
from tests.benchmarks.serving import Server, framework, running
from tests.benchmarks.shop import open_shop, shop_root
from tests.benchmarks.timing import Row, Timing, report

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
PHOTOS = 64
SIZE = (1024, 768)
OK, REFUSED = 200, 429


def limited(root: str, *, searches: int, queued: int, threads: int) -> Server:
    """The function with these limits."""
    import function

    environment = {
        "LOOKALIKE_ROOT": root,
        "LOOKALIKE_MAX_RUNNING_SEARCHES": str(searches),
        "LOOKALIKE_MAX_QUEUED_SEARCHES": str(queued),
        "THREADS": str(threads),
    }
    source = Path(function.__file__).with_name("main.py")
    return framework("lookalike", source, "lookalike", environment)


def flood(port: int, photos: Sequence[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Have each client post without a pause; RuntimeError for any other answer than 200 and 429."""
    end = time.perf_counter() + seconds

    def client(first: int) -> list[tuple[int, float]]:
        connection = connect(port)
        taken = []
        for number in count(first * len(photos) // clients):
            start = time.perf_counter()
            if start > end:
                break
            status, body = send(connection, photos[number % len(photos)])
            if status not in (OK, REFUSED):
                raise RuntimeError(f"expected 200 or 429; found {status}: {body[:300]!r}")
            taken.append((status, time.perf_counter() - start))
        connection.close()
        return taken

    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        taken = [one for some in pool.map(client, range(clients)) for one in some]
        elapsed = time.perf_counter() - start
    answered = [spent for status, spent in taken if status == OK]
    refused = [spent for status, spent in taken if status == REFUSED]
    timing = Timing.of(answered)
    return {
        "answers/s": len(answered) / elapsed,
        "p50 ms": timing.p50,
        "p95": timing.p95,
        "p99": timing.p99,
        "429 %": 100 * len(refused) / len(taken),
        "429s/s": len(refused) / elapsed,
        "429 p50 ms": Timing.of(refused).p50 if refused else float("nan"),
    }


def sweep(server: Server, photos: Sequence[bytes], places: int, seconds: float) -> list[Row]:
    """One server under ever more clients."""
    rows: list[Row] = []
    with running(server, photos[0]) as (port, _, _):
        load(port, photos, 1, 1.0)
        for clients in CLIENTS:
            found = flood(port, photos, clients, seconds)
            best = max([found["answers/s"], *(row["answers/s"] for row in rows)])
            rows.append(
                {
                    "clients": clients,
                    **found,
                    "÷ peak": found["answers/s"] / best,
                    "limit ms": 1e3 * min(clients, places) / found["answers/s"],
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", default="", help="a release's; the benchmarks' own shop")
    parser.add_argument("--running", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--queued", type=int, default=8)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    arguments = parser.parse_args()
    photos = open_shop().query_photos(SIZE, PHOTOS)
    root = arguments.root or str(shop_root())
    rows: list[Row] = []
    for searches in arguments.running:
        server = limited(
            root, searches=searches, queued=arguments.queued, threads=arguments.threads
        )
        found = sweep(server, photos, searches + arguments.queued, arguments.seconds)
        rows += [{"running": searches, **row} for row in found]
    report(
        "overload",
        f"HTTP search past capacity; {arguments.queued} may wait, {arguments.threads} threads, "
        f"{os.cpu_count()} processors",
        rows,
    )


if __name__ == "__main__":
    main()
