"""The device's colour change is the one that its formula names, photo by photo."""

import colorsys
from collections.abc import Callable, Sequence
from math import cos, pi, sin

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from function.photo import decode
from trainer.data.augmentation import Augmentation, draw_changes
from trainer.data.recolour import recolour

UNCHANGED = (1.0, 1.0, 1.0, 0.0)


def changed(pixels: np.ndarray, colour: Sequence[float]) -> np.ndarray:
    """One photo recoloured, as int64."""
    inputs = jax.device_put((pixels[None], np.float32([colour])))
    return np.asarray(recolour(*inputs))[0].astype(int)


def oracle(pixels: np.ndarray, colour: Sequence[float]) -> np.ndarray:
    """The formula, step by step and pixel by pixel, in float64."""
    brightness, contrast, saturation, hue = colour
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    from_yiq = np.linalg.inv(to_yiq)
    lit = pixels.astype(np.float64) * brightness
    mean_grey = np.mean([[to_yiq[0] @ pixel for pixel in row] for row in lit])
    result = np.empty(pixels.shape, int)
    for y, row in enumerate(lit):
        for x, pixel in enumerate(row):
            stretched = mean_grey + contrast * (pixel - mean_grey)
            grey, i, q = to_yiq @ stretched
            i, q = saturation * i, saturation * q
            angle = 2 * pi * hue
            i, q = cos(angle) * i - sin(angle) * q, sin(angle) * i + cos(angle) * q
            result[y, x] = np.clip(np.round(from_yiq @ [grey, i, q]), 0, 255)
    return result


factors = st.floats(0, 2)


@given(st.integers(0, 1000), st.tuples(factors, factors, factors, st.floats(-0.5, 0.5)))
def test_it_is_the_formula(seed: int, colour: tuple[float, float, float, float]) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    difference = np.abs(changed(pixels, colour) - oracle(pixels, colour))
    # Single precision may round a value that lies between two levels to the other one.
    assert difference.max() <= 1
    assert difference.mean() < 0.05


def test_no_change_is_exactly_none() -> None:
    pixels = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
    assert np.array_equal(changed(pixels, UNCHANGED), pixels)


def test_photos_of_a_batch_do_not_see_each_other() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 3), dtype=np.uint8)
    colour = draw_changes(Augmentation(hue=0.5), 6, seed=1, step=2).colour
    together = np.asarray(recolour(*jax.device_put((pixels, colour))))
    assert together.dtype == np.uint8
    for photo, numbers, found in zip(pixels, colour, together, strict=True):
        assert np.array_equal(found, changed(photo, numbers))


@pytest.mark.parametrize(
    ("colour", "enhancers"),
    [
        ((1.2, 1, 1, 0), [(ImageEnhance.Brightness, 1.2)]),
        ((1, 0.8, 1, 0), [(ImageEnhance.Contrast, 0.8)]),
        ((1, 1, 0.8, 0), [(ImageEnhance.Color, 0.8)]),
        ((0.8, 0.8, 1, 0), [(ImageEnhance.Brightness, 0.8), (ImageEnhance.Contrast, 0.8)]),
    ],
)
def test_one_matrix_does_what_pillows_enhancers_do(
    photo: Callable[..., bytes], colour: tuple[float, ...], enhancers: list
) -> None:
    expected = image = decode(photo(4)).point(lambda value: 40 + value // 2)
    for enhancer, factor in enhancers:
        expected = enhancer(expected).enhance(factor)
    found = changed(np.asarray(image), colour)
    assert np.abs(found - np.asarray(expected, int)).max() <= 2


def test_hue_turns_colours_and_leaves_grey() -> None:
    pixels = np.array([[[140, 110, 110], [90, 90, 90]]], np.uint8)
    turned, grey = changed(pixels, (1, 1, 1, 1 / 3))[0]
    assert list(grey) == [90, 90, 90]
    before, after = (colorsys.rgb_to_hsv(*pixel)[0] for pixel in ((140, 110, 110), turned))
    turn = abs(after - before) % 1
    assert min(turn, 1 - turn) == pytest.approx(1 / 3, abs=0.06)


def test_too_bright_and_too_dark_end_at_the_limits() -> None:
    image = np.asarray(Image.linear_gradient("L").convert("RGB"))
    assert changed(image, (2, 1, 1, 0)).max() == 255
    assert changed(image, (1, 2, 1, 0)).min() == 0
