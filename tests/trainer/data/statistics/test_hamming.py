"""The search by bands finds exactly what comparing all with all finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.data.statistics import hamming
from trainer.data.statistics.hamming import pairs_within

Hashes = NDArray[np.uint64]


def every_pair(hashes: Hashes, radius: int) -> list[tuple[int, int]]:
    return [
        (left, right)
        for left in range(len(hashes))
        for right in range(left + 1, len(hashes))
        if int(hashes[left] ^ hashes[right]).bit_count() <= radius
    ]


def found(hashes: Hashes, radius: int) -> list[tuple[int, int]]:
    return sorted(
        (left, right) for part in pairs_within(hashes, radius) for left, right in part.tolist()
    )


def crowd(seed: int, count: int, centres: int, changed_bits: int) -> Hashes:
    """Hashes around a few centres: many near each other, many sharing bands."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, centres, dtype=np.uint64)[random.integers(0, centres, count)]
    for _ in range(changed_bits):
        hashes ^= np.uint64(1) << random.integers(0, 64, count, dtype=np.uint64)
    return hashes


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 120),
    centres=st.integers(1, 20),
    changed_bits=st.integers(0, 6),
    radius=st.integers(0, 12),
    directly=st.sampled_from([2, 5, 30]),
)
def test_it_finds_each_pair_once_and_no_other(
    seed: int, count: int, centres: int, changed_bits: int, radius: int, directly: int
) -> None:
    hashes = crowd(seed, count, centres, changed_bits)
    with pytest.MonkeyPatch.context() as patch:
        # Divide even these few, and compare in several blocks.
        patch.setattr(hamming, "_DIRECTLY", directly)
        patch.setattr(hamming, "_BLOCK", 7)
        assert found(hashes, radius) == every_pair(hashes, radius)


def test_many_are_divided_and_still_complete() -> None:
    hashes = crowd(0, 1_500, 100, 3)
    assert found(hashes, 5) == every_pair(hashes, 5)


def test_a_crowded_band_is_divided_further(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on plain white: the upper half of the bits is the same for all.
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**32, 20_000, dtype=np.uint64)
    compared = 0
    original = hamming._compare_all

    def counting(hashes: Hashes, rows: NDArray[np.int64], *rest: object) -> object:
        nonlocal compared
        compared += len(rows) * (len(rows) - 1) // 2
        return original(hashes, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(hamming, "_compare_all", counting)
    assert found(hashes[:300], 5) == every_pair(hashes[:300], 5)
    compared = 0
    pairs = found(hashes, 5)
    assert compared < len(hashes) ** 2 / 2 / 4
    assert all(int(hashes[a] ^ hashes[b]).bit_count() <= 5 for a, b in pairs)


def test_no_hash_has_no_pair() -> None:
    assert found(np.zeros(0, np.uint64), 5) == []
    assert found(np.zeros(1, np.uint64), 5) == []
