"""Vectors made shorter for the index's tree, as far as its answers allow.

Most of a search is reading the leaves' rows in four bits a number. An embedding's numbers depend on
each other, so a part of them, along the right directions, ranks the rows nearly as all do; and what
it ranks first is scored again from the whole vectors.

The directions are the principal ones of the rows' uncentred second moment: those lose the least of
inner products. They are turned at random within their span, for quantisation gives every number as
many bits, and each then has a like share (Jégou, Douze, Schmid and Pérez, "Aggregating Local
Descriptors into a Compact Image Representation", CVPR 2010, section 3; FAISS's "PCAR").
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from function.vectors import random_rotation
from trainer.progress import console
from trainer.release.tuning import REORDERS, Probe, Vectors

type Projection = Float32[np.ndarray, "dim length"]

# Of the vectors' length, the parts that are tried, the shortest first. Of 200,000 rows of 512
# numbers 0.986 are found in 1.3 ms by a tree of all of them, 0.988 in 0.8 by one of a half and in
# 0.55 by one of a quarter; one of an eighth never finds 0.98.
_PARTS = (8, 4, 2)

# Four blocks of quantisation, of two numbers each: fewer tell next to nothing apart.
_FEWEST = 8

# Of the neighbours that the index may miss, so many may be lost to the projection.
_LOST_SHARE = 0.2

# Best projected scores among which the neighbours must be: a middle one of what the tuner tries.
# Deeper pages do not suffer: of the 52, 100 and 200 nearest of 200,000 rows a tree of a quarter of
# the numbers finds 0.975, 0.950 and 0.948 where one of all finds 0.979, 0.943 and 0.932.
_DEPTH = REORDERS[len(REORDERS) // 2]

# Rows whose second moment is taken, and rows that are scored at a time.
_SAMPLE = 100_000
_BLOCK = 20_000


def projections(probe: Probe, recall: float) -> Iterator[Projection | None]:
    """Yield projections that keep a query's neighbours in reach, those to the fewest numbers first.

    In reach: among the best projected scores, as many as an index of middling depth scores again.
    What quantisation then loses is for the tuner to see.

    Args:
        probe: the rows, and queries whose neighbours are known.
        recall: to which the index is tuned.

    Yields:
        Matrices whose columns have length 1 and are orthogonal; at last None: the rows as they are.
    """
    with console.status("Looking for the numbers that the index's tree needs…"):
        directions = _principal_directions(probe.rows)
    for length in (len(directions) // part for part in _PARTS):
        if length < _FEWEST:
            continue
        projection = _turned(directions, length)
        with console.status(f"Trying {length} numbers a row for the index's tree…"):
            lost = 1 - recall_within(probe, projection)
        if lost <= _LOST_SHARE * (1 - recall):
            yield projection
    yield None


def projection_to(rows: Vectors, length: int) -> Projection:
    """Return the projection of the rows to so many numbers."""
    return _turned(_principal_directions(rows), length)


def recall_within(probe: Probe, projection: Projection, depth: int = _DEPTH) -> float:
    """Return the share of the ten nearest rows that are among the best projected scores.

    Args:
        probe: the rows, and queries whose neighbours are known.
        projection: of both.
        depth: how many best scores; a query's own row is not one of them.
    """
    queries = probe.queries @ projection
    kept = min(depth, len(probe.rows))
    best = np.full((len(queries), kept), -np.inf, np.float32)
    rows = np.full((len(queries), kept), -1)
    for start in range(0, len(probe.rows), _BLOCK):
        block = probe.rows[start : start + _BLOCK] @ projection
        scores = queries @ block.T
        (own,) = np.nonzero((probe.own_rows >= start) & (probe.own_rows < start + len(block)))
        scores[own, probe.own_rows[own] - start] = -np.inf
        scores = np.concatenate([best, scores], axis=1)
        numbers = np.arange(start, start + len(block))
        both = np.concatenate([rows, np.broadcast_to(numbers, (len(rows), len(block)))], axis=1)
        chosen = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        best = np.take_along_axis(scores, chosen, axis=1)
        rows = np.take_along_axis(both, chosen, axis=1)
    reached = (some[some >= 0] for some in rows)
    found = [
        some[np.argsort(-(probe.rows[some] @ query))]
        for query, some in zip(probe.queries, reached, strict=True)
    ]
    return probe.recall_at_10(found)


def _principal_directions(rows: Vectors) -> Float32[np.ndarray, "dim dim"]:
    """Return orthogonal columns, those along which the rows are longest first."""
    sample = rows
    if len(rows) > _SAMPLE:
        sample = rows[np.random.default_rng(0).choice(len(rows), _SAMPLE, replace=False)]
    _, directions = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return directions[:, ::-1].astype(np.float32)


def _turned(directions: Float32[np.ndarray, "dim dim"], length: int) -> Projection:
    return np.ascontiguousarray(directions[:, :length] @ random_rotation(length))
