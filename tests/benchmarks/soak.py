"""The function for half an hour under load, with another release every minute: nothing may be lost.

    python -m tests.benchmarks.soak [--minutes 30] [--root ROOT --photos FOLDER] [--every 60]

Searches come as in `swap.py`, at 70 % of the peak. Four releases take turns: with other titles,
another index, another program, and all as at first. What the function holds is told by one figure
for each turn, the median of its last half, when what was replaced is freed; the slope is that of
the least squares through these figures, with its 95 % interval. The first four do not count: caches
fill.

Ends with status 1 where a search failed. soak.json and soak.png go to .cache/benchmarks.
"""

import sys
import time
from collections.abc import Sequence
from itertools import cycle, pairwise

import numpy as np
from scipy import stats

from tests.benchmarks.open_loop import Asked, between, first_of
from tests.benchmarks.swapping import FIRST, OTHERS, options, under_load
from tests.benchmarks.timing import FOLDER, Row, Timing, report
from tests.successors import point_at
from trainer.figures import MUTED, PALETTE, drawing, png

TURN = (*OTHERS, FIRST)
_SAMPLE_SECONDS = 2.0
_FIGURE_SECONDS = 10.0

Samples = Sequence[tuple[float, float]]


def held(memory: Samples, swaps: Sequence[float]) -> list[tuple[float, float]]:
    """For the time from each swap to the next: its end, and the MB held in its last half."""
    found = []
    for start, end in pairwise(swaps):
        some = [mb for at, mb in memory if (start + end) / 2 <= at < end]
        if some:
            found.append((end, float(np.median(some))))
    return found


def slope(figures: Samples) -> tuple[float, float, float] | None:
    """MB an hour, and its 95 % interval; None of fewer than four figures."""
    if len(figures) < 4:
        return None
    hours, mb = np.array(figures).T
    fit = stats.linregress(hours / 3600, mb)
    margin = stats.t.ppf(0.975, len(figures) - 2) * fit.stderr
    return fit.slope, fit.slope - margin, fit.slope + margin


def picture(
    asked: Sequence[Asked], memory: Samples, swaps: Sequence[float], figures: Samples
) -> bytes:
    """Latency and memory over the minutes; each swap is a line."""
    start = asked[0].due
    buckets: dict[int, list[float]] = {}
    for one in asked:
        buckets.setdefault(int((one.due - start) // _FIGURE_SECONDS), []).append(1e3 * one.seconds)
    minutes = [(bucket + 0.5) * _FIGURE_SECONDS / 60 for bucket in buckets]
    with drawing(8, 5) as figure:
        above, below = figure.subplots(2, sharex=True)
        for share, colour in ((50, PALETTE[0]), (99, PALETTE[1])):
            found = [np.percentile(some, share) for some in buckets.values()]
            above.plot(minutes, found, color=colour, label=f"p{share} of {_FIGURE_SECONDS:.0f} s")
        above.set(title="Searches", ylabel="ms", ylim=(0, None))
        above.legend(loc="upper right", ncols=2)
        times, mb = zip(*memory, strict=True)
        below.plot([(at - start) / 60 for at in times], mb, color=PALETTE[4], linewidth=1)
        below.plot(
            [(at - start) / 60 for at, _ in figures],
            [mb for _, mb in figures],
            "o",
            color=PALETTE[0],
            label="what counts",
        )
        below.set(title="Memory", xlabel="minutes", ylabel="MB", ylim=(0, None))
        below.legend(loc="lower right")
        for axes in (above, below):
            for at in swaps:
                axes.axvline((at - start) / 60, color=MUTED, linewidth=0.5, zorder=0)
        return png(figure)


def main() -> None:
    parser = options(__doc__.partition("\n")[0], share=0.7)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds, from swap to swap")
    arguments = parser.parse_args()
    with under_load(arguments, look_seconds=5.0, sample_seconds=_SAMPLE_SECONDS) as loaded:
        start = time.perf_counter()
        swaps = [start]
        for release_id in cycle(TURN):
            time.sleep(max(0.0, swaps[-1] + arguments.every - time.perf_counter()))
            if time.perf_counter() - start >= 60 * arguments.minutes:
                break
            point_at(loaded.root, release_id)
            swaps.append(first_of(loaded.asked, release_id))
        end = time.perf_counter()
    asked, memory, rate = loaded.asked, loaded.memory, loaded.rate
    some = between(asked, start, end)
    failures = [one.failure for one in some if one.failure]
    figures = held(memory, [*swaps, end])
    counted = figures[len(TURN) :]
    fit = slope(counted)
    timing = Timing.of(one.seconds for one in some)
    row: Row = {
        "minutes": (end - start) / 60,
        "swaps": len(swaps) - 1,
        "searches/s": len(some) / (end - start),
        "of the peak": rate / loaded.peak,
        "failed": len(failures),
        "p50 ms": timing.p50,
        "p99 ms": timing.p99,
        "MB at first": counted[0][1] if counted else None,
        "MB at last": counted[-1][1] if counted else None,
        "MB an hour": fit[0] if fit else None,
        "95 %: from": fit[1] if fit else None,
        "to": fit[2] if fit else None,
    }
    report("soak", f"{rate:.1f} searches/s, another release every {arguments.every:.0f} s", [row])
    (FOLDER / "soak.png").write_bytes(picture(some, memory, swaps[1:], counted))
    if failures:
        sys.exit(f"{len(failures)} of {len(some)} searches failed; the first: {failures[0]}")


if __name__ == "__main__":
    main()
