"""A million vectors for the search benchmark, extended from the shop's 60,502.

    python -m tests.benchmarks.million     makes them, once; other benchmarks call `open_million`

The shop's own rows come first. Every other vector starts at a row x and goes part of the way, t,
to y, one of the 20 rows nearest to it; then s times the difference of two other such rows, u and
v, is added: noise with the shape that differences between similar photos have:

    z = normalised(x + t (y − x) + s (u − v))     t uniform between 0 and 1

What makes a search hard is how the distances from a query to its neighbours are spread; rows that
crowd in front of the real answers would make it another task. So s is calibrated by bisection until
the median distance from a query to its tenth neighbour is the real rows' within a hundredth. The
distances to the first and the tenth neighbour are told for both: their quantiles, the area that
their histograms share, and the histograms themselves in .cache/benchmarks/million.png. The vectors
lie in .cache/benchmarks/shop.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from jaxtyping import Float, Int

from tests.benchmarks.shop import SHOP, Shop, open_shop
from tests.benchmarks.timing import FOLDER, Row, report
from trainer.figures import PALETTE, drawing, png
from trainer.progress import track

MILLION = 1_000_000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PLACES = {"first": 0, "tenth": 9}
BINS = np.linspace(0, 1.4, 36)
_NEAR = 20
_BLOCK = 20_000
_NOISE = (0.0, 4.0)
_TOLERANCE = 0.01

Vectors = Float[np.ndarray, "rows dim"]
# From each query to its ten nearest rows, nearest first.
Distances = Float[np.ndarray, "queries 10"]


def open_million() -> tuple[Vectors, Vectors]:
    """Return a million rows, float16 and mapped, and the shop's queries; make them if need be."""
    shop = open_shop()
    path = SHOP / "million.npy"
    if not path.exists():
        _make(shop)
    return np.load(path, mmap_mode="r"), shop.queries


def _make(shop: Shop) -> None:
    rows = np.array(shop.rows)
    near = _nearest_rows(rows)
    real = _distances(shop.queries, [rows])
    low, high = _NOISE
    while True:
        noise = (low + high) / 2
        blocks = _extension(rows, near, noise)
        extended = _distances(shop.queries, chain([rows], blocks))
        ratio = np.median(extended[:, 9]) / np.median(real[:, 9])
        print(f"noise {noise:.3f}: median distance to the tenth neighbour {ratio:.3f} × the real")
        if abs(ratio - 1) <= _TOLERANCE or high - low < _TOLERANCE:
            break
        low, high = (noise, high) if ratio < 1 else (low, noise)
    table: list[Row] = [
        {
            "distance from a query": f"{which} neighbour, {name}",
            **{
                f"q{quantile:.0%}": float(np.quantile(distances[:, place], quantile))
                for quantile in QUANTILES
            },
            "shared area": shared_area(real[:, place], distances[:, place]),
        }
        for which, place in PLACES.items()
        for name, distances in ((f"{len(rows):,} real rows", real), (f"{MILLION:,}", extended))
    ]
    (FOLDER / "million.png").write_bytes(histograms(real, extended))
    report("million", f"Extended with noise {noise:.3f}", table)
    (SHOP / "million.json").write_text(json.dumps({"noise": noise, "quantiles": table}))
    vectors = np.lib.format.open_memmap(
        SHOP / "million.partial.npy", "w+", np.float16, (MILLION, rows.shape[1])
    )
    vectors[: len(rows)] = rows
    start = len(rows)
    for block in _extension(rows, near, noise):
        vectors[start : start + len(block)] = block
        start += len(block)
    vectors.flush()
    (SHOP / "million.partial.npy").rename(SHOP / "million.npy")


def shared_area(one: Float[np.ndarray, " queries"], other: Float[np.ndarray, " queries"]) -> float:
    """Of two histograms of distances, each of area 1, the area under both."""
    counts = [np.histogram(distances, BINS)[0] / len(distances) for distances in (one, other)]
    return float(np.minimum(*counts).sum())


def histograms(real: Distances, extended: Distances) -> bytes:
    """The distances to the first and the tenth neighbour, in both sets, as a PNG."""
    with drawing(8, 3) as figure:
        for axes, (which, place) in zip(
            figure.subplots(1, 2, sharey=True), PLACES.items(), strict=True
        ):
            sets = {"60,502 real rows": real, "extended to 1,000,000": extended}
            for colour, (name, distances) in zip(PALETTE, sets.items(), strict=False):
                axes.hist(distances[:, place], BINS, histtype="step", color=colour, label=name)
            axes.set_title(f"{which} neighbour")
            axes.set_xlabel("distance from a query")
            axes.margins(y=0.4)  # room for the legend
        axes.legend(loc="upper left")
        return png(figure)


def _nearest_rows(rows: Vectors) -> Int[np.ndarray, "rows near"]:
    starts = range(0, len(rows), 2_000)
    found = []
    for start in track(starts, "Near rows", len(starts)):
        scores = rows[start : start + 2_000] @ rows.T
        scores[np.arange(len(scores)), start + np.arange(len(scores))] = -np.inf
        found.append(np.argpartition(-scores, _NEAR - 1, axis=1)[:, :_NEAR].astype(np.int32))
    return np.concatenate(found)


def _extension(
    rows: Vectors, near: Int[np.ndarray, "rows near"], noise: float
) -> Iterator[Vectors]:
    random = np.random.default_rng(0)
    for start in range(len(rows), MILLION, _BLOCK):
        count = min(_BLOCK, MILLION - start)
        x, u = random.integers(0, len(rows), (2, count))
        y, v = (near[of, random.integers(0, _NEAR, count)] for of in (x, u))
        t = random.random((count, 1), np.float32)
        z = rows[x] + t * (rows[y] - rows[x]) + np.float32(noise) * (rows[u] - rows[v])
        yield z / np.linalg.norm(z, axis=1, keepdims=True)


def _distances(queries: Vectors, blocks: Iterable[Vectors]) -> Distances:
    best = np.full((len(queries), 0), 0, np.float32)
    for block in blocks:
        scores = np.concatenate([best, queries @ block.T], axis=1)
        best = -np.partition(-scores, 9, axis=1)[:, :10]
    return np.sqrt(np.maximum(0, 2 + 2 * np.sort(-best, axis=1)))


if __name__ == "__main__":
    vectors, _ = open_million()
    print(f"{SHOP}: {len(vectors):,} rows; {(SHOP / 'million.json').read_text()}")
