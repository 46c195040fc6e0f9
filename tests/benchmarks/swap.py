"""Releases that take each other's place under load: what requests feel of it, and what it holds.

    python -m tests.benchmarks.swap [--root ROOT --photos FOLDER] [--swaps 3] [--share 0.5]

Searches of different 1024×768 JPEGs come at equal distances (`open_loop.py`), at a share of the
peak that four clients reach who never rest; both share the processors with the server. A swap lasts
from the write of the pointer, which the function looks at twice a second, until two seconds after
the first answer of the new release, when the old one is freed. `swapping.py` says what differs
between the releases. Limit of the same run: during swaps p99 should be no more than twice the p50
of the time without.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.http_load import load
from tests.benchmarks.open_loop import asking, between, first_of
from tests.benchmarks.serving import running
from tests.benchmarks.shop import shop_root
from tests.benchmarks.swapping import (
    FIRST,
    OTHERS,
    looking_often,
    make_successors,
    photos_of,
    watching_memory,
)
from tests.benchmarks.timing import FOLDER, Row, Timing, report
from tests.successors import point_at

_FREED_SECONDS = 2.0
_PAUSE_SECONDS = 4.0
_SAMPLE_SECONDS = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, help="a local one's release; else the benchmarks' own")
    parser.add_argument("--photos", type=Path, help="folder of JPEGs to ask with; else their own")
    parser.add_argument("--swaps", type=int, default=3, help="there and back, of each kind")
    parser.add_argument("--share", type=float, default=0.5, help="of the peak, that is asked for")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each time without swaps")
    arguments = parser.parse_args()
    photos = photos_of(arguments.photos)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        root = Path(folder) / "root"
        make_successors(arguments.root or shop_root(), root)
        server = looking_often(root, Path(folder) / "cache")
        with running(server, photos[0]) as (port, process, _):
            peak = load(port, photos, 4, 5.0).rate
            with (
                watching_memory(process, _SAMPLE_SECONDS) as memory,
                asking(port, photos, arguments.share * peak) as asked,
            ):
                quiet = [(time.perf_counter(), time.perf_counter() + arguments.seconds)]
                time.sleep(arguments.seconds)
                swaps: dict[str, list[tuple[float, float]]] = {name: [] for name in OTHERS}
                for kind, times in swaps.items():
                    # To and fro: back to the first release is the same work.
                    for number in range(2 * arguments.swaps):
                        start = time.perf_counter()
                        release_id = FIRST if number % 2 else kind
                        point_at(root, release_id)
                        times.append((start, first_of(asked, release_id)))
                        time.sleep(_FREED_SECONDS + _PAUSE_SECONDS)
                quiet.append((time.perf_counter(), time.perf_counter() + arguments.seconds))
                time.sleep(arguments.seconds)

    def row(when: str, times: Sequence[tuple[float, float]], more: float = 0.0) -> Row:
        some = [one for start, end in times for one in between(asked, start, end + more)]
        held = [mb for start, end in times for at, mb in memory if start <= at < end + more]
        timing = Timing.of(one.seconds for one in some)
        return {
            "when": when,
            "s to the first answer": float(np.median([end - start for start, end in times])),
            "searches": len(some),
            "failed": sum(bool(one.failure) for one in some),
            "p50 ms": timing.p50,
            "p99 ms": timing.p99,
            "slowest ms": 1e3 * max(one.seconds for one in some),
            "p99 ÷ steady p50": timing.p99 / steady.p50,
            "over 2 ×, %": 100 * sum(2e-3 * steady.p50 < one.seconds for one in some) / len(some),
            "MB, median": float(np.median(held)),
            "MB, most": max(held),
        }

    calm = [one for start, end in quiet for one in between(asked, start, end)]
    steady = Timing.of(one.seconds for one in calm)
    rows = [row("before", quiet[:1])]
    rows += [
        row(f"{len(times)} swaps, {kind}", times, _FREED_SECONDS) for kind, times in swaps.items()
    ]
    rows.append(row("after", quiet[1:]))
    for calm_row in (rows[0], rows[-1]):
        calm_row["s to the first answer"] = None
    rate = arguments.share * peak
    report("swap", f"swaps at {rate:.1f} searches/s, {arguments.share:.0%} of the peak", rows)


if __name__ == "__main__":
    main()
