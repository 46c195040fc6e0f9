"""All pairs of hashes that differ in a few bits, without comparing all with all.

Multi-index hashing (Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index
hashing", CVPR 2012): of r + 1 bands of bits, two hashes within distance r agree in one entirely.
So only hashes that share a band are compared. Where many share one, as photos on plain white do,
they are divided again by bands of their other bits, for as long as that saves work; the rest is
compared in blocks. Nothing is left out, and never is more compared than all pairs once.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int, UInt64

HASH_BITS = 64
# Fewer than this are compared directly; more are divided, if that at least halves the work.
_DIRECTLY = 1024
_BLOCK = 2048


def pairs_within(
    hashes: UInt64[np.ndarray, " hashes"], radius: int
) -> Iterator[Int[np.ndarray, "pairs 2"]]:
    """Find all pairs of hashes at most `radius` bits apart.

    Args:
        hashes: they may repeat; equal ones are pairs too.
        radius: bits, 0 to 63.

    Yields:
        Row numbers, the smaller first; each pair once over all that is yielded, which is in
        parts so that a caller may stop.
    """
    bits = [np.uint64(1 << place) for place in range(HASH_BITS)]
    yield from _search(hashes, np.arange(len(hashes)), bits, radius, ())


def _search(
    hashes: UInt64[np.ndarray, " hashes"],
    rows: Int[np.ndarray, " rows"],
    bits: Sequence[np.uint64],
    radius: int,
    elsewhere: tuple[np.uint64, ...],
) -> Iterator[Int[np.ndarray, "pairs 2"]]:
    """Pairs among `rows`, which agree in all bits but `bits`.

    Pairs that agree in one of the bands `elsewhere` are skipped: that band's search yields them.
    """
    if len(rows) > _DIRECTLY and len(bits) > radius:
        held = hashes[rows]
        bands = [bits[start :: radius + 1] for start in range(radius + 1)]
        masks = [np.bitwise_or.reduce(band) for band in bands]
        if sum(_comparisons(held & mask) for mask in masks) < len(rows) * (len(rows) - 1) // 4:
            for number, (band, mask) in enumerate(zip(bands, masks, strict=True)):
                others = [bit for bit in bits if bit not in band]
                skipped = (*elsewhere, *masks[:number])
                for group in _groups(held & mask):
                    yield from _search(hashes, rows[group], others, radius, skipped)
            return
    yield from _compare_all(hashes, rows, radius, elsewhere)


def _comparisons(values: UInt64[np.ndarray, " rows"]) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _groups(values: UInt64[np.ndarray, " rows"]) -> Iterator[Int[np.ndarray, " group"]]:
    """Places of equal values, in ascending order, where there are two or more."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=~values[order[0]]))
    sizes = np.diff(starts, append=len(order))
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        yield order[start : start + size]


def _compare_all(
    hashes: UInt64[np.ndarray, " hashes"],
    rows: Int[np.ndarray, " rows"],
    radius: int,
    elsewhere: tuple[np.uint64, ...],
) -> Iterator[Int[np.ndarray, "pairs 2"]]:
    for top in range(0, len(rows), _BLOCK):
        above = rows[top : top + _BLOCK]
        for left in range(top, len(rows), _BLOCK):
            beside = rows[left : left + _BLOCK]
            differing = hashes[above][:, None] ^ hashes[beside]
            near = np.bitwise_count(differing) <= radius
            if top == left:
                near = np.triu(near, 1)
            first, second = np.nonzero(near)
            bits = differing[first, second]
            new = np.ones(len(bits), bool)
            for mask in elsewhere:
                new &= (bits & mask) != 0
            if new.any():
                yield np.stack([above[first[new]], beside[second[new]]], axis=1)
