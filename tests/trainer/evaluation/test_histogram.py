"""The colour histogram: a fair baseline."""

import numpy as np
import pytest

from trainer.evaluation.histogram import BINS_PER_CHANNEL, colour_histogram


def plain(*colour: int) -> np.ndarray:
    return np.full((1, 8, 8, 3), colour, np.uint8)


def test_rows_are_unit_vectors_of_all_bins() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 12, 3), np.uint8)
    vectors = colour_histogram(pixels)
    assert vectors.shape == (3, BINS_PER_CHANNEL**3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_cosine_is_the_bhattacharyya_coefficient_of_the_shares() -> None:
    # Bin centres of 8 bins lie at 16, 48, …: these colours fall into one bin each.
    half = np.concatenate([plain(16, 16, 16), plain(240, 16, 16)], axis=1)
    quarter = half.copy()
    quarter[:, :12] = 16
    a, b = colour_histogram(np.concatenate([half, quarter]))
    assert a @ b == pytest.approx(np.sqrt(0.5 * 0.75) + np.sqrt(0.5 * 0.25), abs=1e-6)


def test_place_in_the_picture_does_not_matter() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3), np.uint8)
    np.testing.assert_allclose(
        colour_histogram(pixels), colour_histogram(pixels[:, ::-1, ::-1]), atol=1e-6
    )


def test_a_small_change_of_colour_is_a_small_change_of_the_vector() -> None:
    near = colour_histogram(plain(127, 64, 64)) @ colour_histogram(plain(129, 64, 64)).T
    far = colour_histogram(plain(127, 64, 64)) @ colour_histogram(plain(250, 64, 64)).T
    assert near > 0.99
    assert far < 0.01


def test_the_darkest_and_the_brightest_pixel_are_counted() -> None:
    for colour in (0, 255):
        assert colour_histogram(plain(colour, colour, colour)).max() == pytest.approx(1.0)
