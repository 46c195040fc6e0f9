"""Augmentation changes photos as far as it says, and no further."""

import colorsys
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from function.photo import decode
from trainer.data.augmentation import Augmentation, _colour_matrix, augment

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
NONE = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, **STILL)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_without_strength_only_the_size_changes(photo: Callable[..., bytes]) -> None:
    data = photo(1, (48, 48))
    expected = decode(data).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(augment(data, 32, NONE, random()) - np.asarray(expected, np.int16)).max() <= 1


def test_the_same_generator_gives_the_same_pixels(photo: Callable[..., bytes]) -> None:
    data, augmentation = photo(1, (64, 48)), Augmentation()
    first = augment(data, 32, augmentation, random(5))
    assert np.array_equal(first, augment(data, 32, augmentation, random(5)))
    assert not np.array_equal(first, augment(data, 32, augmentation, random(6)))


@given(
    st.integers(0, 1000),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from([(0.05, 1.0), (1.0, 1.0), (0.3, 0.5)]),
    st.sampled_from([(1 / 3, 3.0), (1.0, 1.0)]),
)
def test_any_shape_of_photo_gives_the_size_that_is_asked(
    seed: int, shape: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    data = png(np.zeros((*shape, 3), np.uint8) + np.uint8(200))
    pixels = augment(data, 24, Augmentation(scale=scale, ratio=ratio), random(seed))
    assert pixels.shape == (24, 24, 3)
    assert pixels.dtype == np.uint8


def test_crops_cover_the_area_that_is_asked() -> None:
    ramp = np.arange(256, dtype=np.uint8)
    position = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:, None], np.uint8(0)), axis=-1)
    data = png(np.ascontiguousarray(position))
    only_crop = Augmentation(scale=(0.25, 0.25), flip=0.0, **STILL)
    lefts = []
    for seed in range(40):
        pixels = augment(data, 32, only_crop, random(seed)).astype(float)
        width = (pixels[0, -1, 0] - pixels[0, 0, 0]) * 32 / 31
        height = (pixels[-1, 0, 1] - pixels[0, 0, 1]) * 32 / 31
        assert width * height / 256**2 == pytest.approx(0.25, rel=0.08)
        assert 0.7 < width / height < 1.42
        lefts.append(pixels[0, 0, 0])
    assert min(lefts) < 30 < 90 < max(lefts)


def test_half_of_the_photos_are_mirrored(photo: Callable[..., bytes]) -> None:
    data = photo(3, (32, 32))
    flips = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), **STILL)
    plain = augment(data, 32, NONE, random())
    seen = [augment(data, 32, flips, random(seed)) for seed in range(200)]
    mirrored = sum(np.array_equal(pixels, plain[:, ::-1]) for pixels in seen)
    assert mirrored + sum(np.array_equal(pixels, plain) for pixels in seen) == 200
    assert 70 < mirrored < 130


@pytest.mark.parametrize(
    ("strengths", "enhancers"),
    [
        ((0.5, 0, 0, 0), [(ImageEnhance.Brightness, 1.2)]),
        ((0, -0.5, 0, 0), [(ImageEnhance.Contrast, 0.8)]),
        ((0, 0, -0.5, 0), [(ImageEnhance.Color, 0.8)]),
        ((-0.5, -0.5, 0, 0), [(ImageEnhance.Brightness, 0.8), (ImageEnhance.Contrast, 0.8)]),
    ],
)
def test_one_matrix_does_what_pillows_enhancers_do(
    photo: Callable[..., bytes], strengths: tuple[float, ...], enhancers: list
) -> None:
    image = decode(photo(4)).point(lambda value: 40 + value // 2)
    expected = image
    for enhancer, factor in enhancers:
        expected = enhancer(expected).enhance(factor)
    mean = np.asarray(image, np.float64).mean(axis=(0, 1))
    augmentation = Augmentation(brightness=0.4, contrast=0.4, saturation=0.4)
    matrix = _colour_matrix(augmentation, np.array(strengths, float), mean)
    found = image.convert("RGB", tuple(matrix.ravel().tolist()))
    assert np.abs(np.asarray(found, np.int16) - np.asarray(expected, np.int16)).max() <= 2


def test_hue_turns_colours_and_leaves_grey() -> None:
    matrix = _colour_matrix(Augmentation(hue=1 / 3), np.array([0, 0, 0, 1.0]), np.zeros(3))
    assert matrix[:, :3] @ np.full(3, 90.0) == pytest.approx([90, 90, 90])
    turned = matrix[:, :3] @ np.array([140.0, 110, 110])
    before, after = (colorsys.rgb_to_hsv(*colour)[0] for colour in ((140, 110, 110), turned))
    turn = abs(after - before) % 1
    assert min(turn, 1 - turn) == pytest.approx(1 / 3, abs=0.06)
