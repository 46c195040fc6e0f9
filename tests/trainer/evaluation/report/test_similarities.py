"""Histograms of similarities and the spectrum, against loops written out."""

import numpy as np
import pytest

from trainer.evaluation.report.similarities import BINS, Similarities, similarities
from trainer.evaluation.report.spectrum import spectrum


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def vectors() -> np.ndarray:
    random = np.random.default_rng(3)
    return unit(random.normal(size=(7, 6))[np.arange(41) % 7] + random.normal(size=(41, 6)))


PRODUCT = np.arange(41) % 7


def brute_force(
    vectors: np.ndarray, anchors: list[int], *, each_once: bool
) -> tuple[np.ndarray, np.ndarray]:
    histograms = np.zeros((2, BINS), int)
    for anchor in anchors:
        for other in range(len(vectors)):
            if other == anchor or (each_once and other < anchor):
                continue
            cosine = float(np.dot(vectors[anchor].astype(float), vectors[other].astype(float)))
            different = int(PRODUCT[anchor] != PRODUCT[other])
            histograms[different, min(BINS - 1, int((cosine + 1) / 2 * BINS))] += 1
    return histograms[0], histograms[1]


def test_every_pair_is_counted_once(vectors: np.ndarray) -> None:
    found = similarities(vectors, PRODUCT)
    positive, negative = brute_force(vectors, list(range(41)), each_once=True)
    np.testing.assert_array_equal(found.positive, positive)
    np.testing.assert_array_equal(found.negative, negative)
    assert found.positive.sum() + found.negative.sum() == 41 * 40 // 2
    assert not found.sampled


def test_a_sample_is_compared_with_all_others(vectors: np.ndarray) -> None:
    found = similarities(vectors, PRODUCT, max_anchors=9, seed=4)
    drawn = sorted(np.random.default_rng(4).permutation(41)[:9].tolist())
    positive, negative = brute_force(vectors, drawn, each_once=False)
    np.testing.assert_array_equal(found.positive, positive)
    np.testing.assert_array_equal(found.negative, negative)
    assert found.sampled
    assert (found.anchors, found.photos) == (9, 41)


def test_blocks_change_nothing(vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = similarities(vectors, PRODUCT)
    monkeypatch.setattr("trainer.evaluation.report.similarities._BLOCK", 5)
    parts = similarities(vectors, PRODUCT)
    np.testing.assert_array_equal(whole.positive, parts.positive)
    np.testing.assert_array_equal(whole.negative, parts.negative)
    assert parts.negative_mean == pytest.approx(whole.negative_mean)
    cosines = vectors @ vectors.T
    different = PRODUCT[:, None] != PRODUCT
    assert whole.negative_mean == pytest.approx(float(cosines[different].mean()), abs=1e-6)


def counted(positive: dict[int, int], negative: dict[int, int]) -> Similarities:
    histograms = np.zeros((2, BINS), np.int64)
    for row, counts in enumerate((positive, negative)):
        for place, count in counts.items():
            histograms[row, place] = count
    return Similarities(histograms[0], histograms[1], 5, 5, 0.0, 0.0)


def test_the_threshold_parts_what_can_be_parted() -> None:
    cosine, missed, passed = counted({170: 4, 180: 6}, {100: 50, 149: 50}).threshold()
    assert (missed, passed) == (0.0, 0.0)
    assert 0.5 <= cosine <= 0.7
    apart = counted({170: 4}, {100: 50})
    assert apart.overlap == 0
    same = counted({100: 4, 101: 4}, {100: 50, 101: 50})
    assert same.overlap == 1


def test_the_threshold_has_the_least_errors() -> None:
    random = np.random.default_rng(0)
    positive = np.bincount(random.integers(90, 190, 300), minlength=BINS)
    negative = np.bincount(random.integers(40, 140, 900), minlength=BINS)
    found = Similarities(positive, negative, 5, 5, 0.0, 0.0)
    errors = [positive[:edge].sum() / 300 + negative[edge:].sum() / 900 for edge in range(BINS + 1)]
    cosine, missed, passed = found.threshold()
    assert missed + passed == pytest.approx(min(errors))
    assert errors[round((cosine + 1) * BINS / 2)] == pytest.approx(min(errors))


def test_photos_of_single_products_have_no_positive_pair() -> None:
    found = similarities(np.eye(3, dtype=np.float32), np.arange(3))
    assert not found.known
    assert np.isnan(found.positive_mean)


@pytest.mark.parametrize("directions", [1, 3, 8])
def test_the_effective_rank_counts_even_directions(directions: int) -> None:
    axes = np.eye(8, dtype=np.float32)[:directions]
    assert spectrum(np.concatenate([axes, -axes])).effective_rank == pytest.approx(directions)


def test_the_effective_rank_is_that_of_the_singular_values() -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(30, 5)) * [5, 3, 1, 0.5, 0.1])
    singular = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False)
    p = singular / singular.sum()
    entropy = -sum(share * np.log(share) for share in p)
    assert spectrum(vectors).effective_rank == pytest.approx(np.exp(entropy), rel=1e-4)


def test_equal_vectors_have_no_direction() -> None:
    same = spectrum(np.tile(unit(np.ones((1, 7))), (20, 1)))
    assert same.effective_rank == 0
    assert not same.shares.any()
    np.testing.assert_allclose(same.plane, 0, atol=1e-6)


def test_the_plane_keeps_distances_of_flat_vectors() -> None:
    flat = np.zeros((12, 6), np.float32)
    flat[:, [1, 4]] = np.random.default_rng(2).normal(size=(12, 2))
    plane = spectrum(flat).plane
    for a in range(12):
        for b in range(12):
            apart = np.linalg.norm(flat[a] - flat[b])
            assert np.linalg.norm(plane[a] - plane[b]) == pytest.approx(apart, abs=1e-5)
