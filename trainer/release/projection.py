"""Vectors made shorter for the index's tree, as far as its answers allow.

Most of a search is reading the leaves' rows in four bits a number. An embedding's numbers depend on
each other, so a part of them, along the right directions, ranks the rows nearly as all do; and what
it ranks first is scored again from the whole vectors.

The directions are the principal ones of the rows' uncentred second moment: those lose the least of
inner products. They are turned at random within their span, for quantisation gives every number as
many bits, and each then has a like share (Jégou, Douze, Schmid and Pérez, "Aggregating Local
Descriptors into a Compact Image Representation", CVPR 2010, section 3; FAISS's "PCAR").
"""

import numpy as np
from jaxtyping import Float32

from function.vectors import random_rotation
from trainer.release.tuning import REORDERS, Probe, Vectors

type Projection = Float32[np.ndarray, "dim length"]

# Of the vectors' length, the parts that are tried, the shortest first. Of 200,000 rows of 512
# numbers 0.988 are found in 1.3 ms by a tree of all of them, in 0.8 by one of a half, in 0.55 by
# one of a quarter, and never by one of an eighth.
_PARTS = (8, 4, 2)

# Of the neighbours that the index may miss, so many may be lost to the projection.
_LOST_SHARE = 0.2

# Best projected scores among which the neighbours must be: a middle one of what the tuner tries.
_DEPTH = REORDERS[len(REORDERS) // 2]

# Rows whose second moment is taken, and rows that are scored at a time.
_SAMPLE = 100_000
_BLOCK = 20_000


def project(probe: Probe, recall: float) -> Projection | None:
    """Return the projection to the fewest numbers that keep a query's neighbours in reach.

    In reach: among the best projected scores, of which the index scores so many again.

    Args:
        probe: the rows, and queries whose neighbours are known.
        recall: to which the index is tuned.

    Returns:
        Columns of length 1, orthogonal. None: half of the numbers are too few.
    """
    directions = _principal_directions(probe.rows)
    for part in _PARTS:
        length = len(directions) // part
        if length < 1:
            continue
        projection = np.ascontiguousarray(directions[:, :length] @ random_rotation(length))
        if 1 - recall_within(probe, projection) <= _LOST_SHARE * (1 - recall):
            return projection
    return None


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
