"""Releases that take each other's place under load: what requests feel of it, and what it holds.

    python -m tests.benchmarks.swap [--root ROOT --photos FOLDER] [--swaps 3] [--share 0.5]

Searches of different 1024×768 JPEGs come at equal distances (`open_loop.py`), at a share of the
peak that four clients reach who never rest; both share the processors with the server. A swap lasts
from the write of the pointer, which the function looks at twice a second, until two seconds after
the first answer of the new release, when the old one is freed. `swapping.py` says what differs
between the releases. Limit of the same run: during swaps p99 should be no more than twice the p50
of the time without.
"""

import time
from collections.abc import Sequence

import numpy as np

from tests.benchmarks.open_loop import between, first_of
from tests.benchmarks.swapping import FIRST, OTHERS, options, under_load
from tests.benchmarks.timing import Row, Timing, report
from tests.successors import point_at

_FREED_SECONDS = 2.0
_PAUSE_SECONDS = 4.0
# Each takes some 17 ms of a processor.
_SAMPLE_SECONDS = 0.5


def main() -> None:
    parser = options(__doc__.partition("\n")[0], share=0.5)
    parser.add_argument("--swaps", type=int, default=3, help="there and back, of each kind")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each time without swaps")
    arguments = parser.parse_args()
    with under_load(arguments, look_seconds=0.5, sample_seconds=_SAMPLE_SECONDS) as loaded:
        asked, memory = loaded.asked, loaded.memory
        quiet = [(time.perf_counter(), time.perf_counter() + arguments.seconds)]
        time.sleep(arguments.seconds)
        swaps: dict[str, list[tuple[float, float]]] = {name: [] for name in OTHERS}
        for kind, times in swaps.items():
            # To and fro: back to the first release is the same work.
            for number in range(2 * arguments.swaps):
                start = time.perf_counter()
                release_id = FIRST if number % 2 else kind
                point_at(loaded.root, release_id)
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
    report(
        "swap", f"swaps at {loaded.rate:.1f} searches/s, {arguments.share:.0%} of the peak", rows
    )


if __name__ == "__main__":
    main()
