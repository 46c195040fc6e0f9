"""Which photos of a catalogue are copies of each other, in three degrees.

Same bytes; same pixels, as after a lossless conversion; near, as after saving again, scaling or
another light. Each degree includes the one before: a photo's group by bytes lies within its group
by pixels, and that within its near group. Near groups are connected: of a chain of pictures, each
a copy of the next, all are one group.

Crowds are bounded. Equal bytes are searched once, however many there are. Pictures of the same
hash become one representative for each that looks different, up to `MAX_LOOKS` of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt64

from trainer.data.statistics.hamming import pairs_within
from trainer.data.statistics.measure import Measurements, pixel_digests
from trainer.data.statistics.signature import MAX_DISTANCE_BITS, same_picture

# Of one hash, so many different pictures are compared with others; they are all but plain.
MAX_LOOKS = 64
# Pairs of similar hashes that are verified: about a minute's work.
MAX_CANDIDATES = 30_000_000

_VERIFIED_AT_ONCE = 8192


@runtime_checkable
class Signatures(Protocol):
    """What near copies are recognised by; `Measurements` have it, among other things."""

    @property
    def hashes(self) -> UInt64[np.ndarray, " photos"]:
        """Difference hashes."""

    @property
    def pixels(self) -> UInt8[np.ndarray, "photos 16 16 3"]:
        """What verifies a copy."""


@dataclass(frozen=True)
class Duplicates:
    """Labels of groups: photos with the same label are copies; a label is its group's first row."""

    same_bytes: Int[np.ndarray, " photos"]
    same_pixels: Int[np.ndarray, " photos"]
    near: Int[np.ndarray, " photos"]
    not_compared: int
    """Photos left out of the near degree, as their hash was crowded by different pictures."""
    complete: bool
    """Whether all candidates were verified; False after `MAX_CANDIDATES`."""


def find_duplicates(
    measured: Measurements, *, radius: int = MAX_DISTANCE_BITS, max_candidates: int = MAX_CANDIDATES
) -> Duplicates:
    """Group copies.

    Args:
        measured: the photos' signatures.
        radius: bits in which the hashes of copies may differ.
        max_candidates: pairs to verify at most.
    """
    count = len(measured.digests)
    groups = _Groups(count)
    groups.join_equal(range(count), measured.digests)
    same_bytes = groups.labels()
    not_compared, complete = _join_near(
        measured, np.unique(same_bytes), groups, radius, max_candidates
    )
    near = groups.labels()
    return Duplicates(
        same_bytes=same_bytes,
        same_pixels=_same_pixels(measured, same_bytes, near),
        near=near,
        not_compared=not_compared,
        complete=complete,
    )


def near_copies(signatures: Signatures) -> Int[np.ndarray, " photos"]:
    """Group near copies by their signatures alone.

    Returns:
        Labels as those of `Duplicates`. Photos in a crowd of one hash, and all beyond
        `MAX_CANDIDATES`, may stay by themselves.
    """
    count = len(signatures.hashes)
    groups = _Groups(count)
    _join_near(signatures, np.arange(count), groups, MAX_DISTANCE_BITS, MAX_CANDIDATES)
    return groups.labels()


def members(labels: Int[np.ndarray, " photos"]) -> list[Int[np.ndarray, " group"]]:
    """Rows of each group that has two photos or more, groups in the order of their first row."""
    order = np.argsort(labels, kind="stable")
    return [
        group
        for group in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        if len(group) > 1
    ]


def _join_near(
    measured: Signatures,
    rows: Int[np.ndarray, " rows"],
    groups: "_Groups",
    radius: int,
    max_candidates: int,
) -> tuple[int, bool]:
    """Join the near copies among `rows`.

    Returns:
        How many were not compared, and whether all candidates were verified.
    """
    leaders, not_compared = _looks(measured, rows, groups)
    verified = 0
    for pairs in pairs_within(measured.hashes[leaders], radius):
        candidates = leaders[pairs]
        for left, right in candidates[_verified(measured, candidates)].tolist():
            groups.join(left, right)
        verified += len(candidates)
        if verified >= max_candidates:
            break
    return not_compared, verified < max_candidates


def _looks(
    measured: Signatures, rows: Int[np.ndarray, " rows"], groups: "_Groups"
) -> tuple[Int[np.ndarray, " leaders"], int]:
    """Of each hash, the rows that look different; the others join one of these.

    Returns:
        The rows, ascending, and how many were neither taken nor joined.
    """
    leaders, left_out = [], 0
    for same in _by_hash(measured, rows):
        waiting = same
        for _ in range(MAX_LOOKS):
            if not len(waiting):
                break
            leader, waiting = waiting[0], waiting[1:]
            leaders.append(int(leader))
            pairs = np.stack([np.full_like(waiting, leader), waiting], axis=1)
            alike = _verified(measured, pairs)
            for row in waiting[alike].tolist():
                groups.join(int(leader), row)
            waiting = waiting[~alike]
        left_out += len(waiting)
    return np.array(sorted(leaders)), left_out


def _verified(
    measured: Signatures, pairs: Int[np.ndarray, "pairs 2"]
) -> Bool[np.ndarray, " pairs"]:
    """Whether the pixels of each pair are alike; a few thousand are held at once."""
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), _VERIFIED_AT_ONCE):
        part = slice(start, start + _VERIFIED_AT_ONCE)
        left, right = pairs[part].T
        alike[part] = same_picture(measured.pixels[left], measured.pixels[right])
    return alike


def _by_hash(
    measured: Signatures, rows: Int[np.ndarray, " rows"]
) -> Iterator[Int[np.ndarray, " same"]]:
    order = rows[np.argsort(measured.hashes[rows], kind="stable")]
    yield from np.split(order, np.flatnonzero(np.diff(measured.hashes[order])) + 1)


def _same_pixels(
    measured: Measurements,
    same_bytes: Int[np.ndarray, " photos"],
    near: Int[np.ndarray, " photos"],
) -> Int[np.ndarray, " photos"]:
    """Decode in full what is near, of the same size and not the same file; join what is equal."""
    alike: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for group in members(near):
        for row in group.tolist():
            if same_bytes[row] == row:
                alike[(int(near[row]), *measured.sizes[row].tolist())].append(row)
    rows = [row for same_size in alike.values() if len(same_size) > 1 for row in same_size]
    groups = _Groups(len(near))
    for row, label in enumerate(same_bytes.tolist()):
        groups.join(label, row)
    if rows:
        photos = measured.catalog.photos
        digests = pixel_digests(measured.catalog, (photos[row] for row in rows))
        groups.join_equal(rows, digests)
    return groups.labels()


class _Groups:
    """Disjoint sets of rows; each is named by its smallest."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, left: int, right: int) -> None:
        left, right = self._root(left), self._root(right)
        self._parents[max(left, right)] = min(left, right)

    def join_equal(self, rows: Iterable[int], keys: Sequence[bytes]) -> None:
        firsts: dict[bytes, int] = {}
        for row, key in zip(rows, keys, strict=True):
            self.join(firsts.setdefault(key, row), row)

    def labels(self) -> Int[np.ndarray, " photos"]:
        return np.array([self._root(row) for row in range(len(self._parents))])

    def _root(self, row: int) -> int:
        while (parent := self._parents[row]) != row:
            self._parents[row] = self._parents[parent]
            row = parent
        return row
