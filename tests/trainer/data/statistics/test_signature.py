"""Copies keep their signature, other pictures do not."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from trainer.data.statistics.signature import (
    MAX_DISTANCE_BITS,
    correlation,
    difference_hash,
    hamming_distance,
    same_picture,
    small_pixels,
    tint,
)

Picture = Callable[..., Image.Image]


def distance(left: Image.Image, right: Image.Image) -> int:
    return (difference_hash(left) ^ difference_hash(right)).bit_count()


def alike(left: Image.Image, right: Image.Image) -> bool:
    return bool(same_picture(small_pixels(left)[None], small_pixels(right)[None])[0])


def again(image: Image.Image, quality: int) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def test_copies_are_found_and_verified_nearly_always(picture: Picture) -> None:
    found, verified = [], []
    for seed in range(400):
        original = picture(seed)
        random = np.random.default_rng(seed)
        scale, light = random.uniform(0.5, 2), random.uniform(0.7, 1.2)
        size = round(160 * scale), round(120 * scale)
        copy = original.resize(size, Image.Resampling.BICUBIC)
        copy = again(ImageEnhance.Brightness(copy).enhance(light), int(random.integers(40, 96)))
        found.append(distance(original, copy) <= MAX_DISTANCE_BITS)
        verified.append(alike(original, copy))
    # No hash finds every copy; its module says how many of real photos'.
    assert np.mean(found) >= 0.99
    assert np.mean(verified) >= 0.99


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_other_pictures_and_mirror_images_are_neither(picture: Picture, seed: int) -> None:
    original = picture(seed)
    for other in (picture(seed + 1), ImageOps.mirror(original), ImageOps.flip(original)):
        assert distance(original, other) > MAX_DISTANCE_BITS
        assert not alike(original, other)


def shirt(colour: tuple[int, int, int]) -> Image.Image:
    """A shape on white."""
    image = Image.new("RGB", (160, 160), "white")
    image.paste(colour, (40, 30, 120, 140))
    return image


def test_the_same_shape_in_another_colour_is_another_picture() -> None:
    assert distance(shirt((30, 30, 30)), shirt((20, 70, 30))) == 0
    assert not alike(shirt((30, 30, 30)), shirt((20, 70, 30)))
    assert alike(shirt((30, 30, 30)), shirt((32, 30, 29)))


def test_plain_pictures_are_alike_only_in_the_same_colour(picture: Picture) -> None:
    plain = {name: Image.new("RGB", (50, 50), name) for name in ("white", "red", "black", "grey")}
    assert len({difference_hash(image) for image in plain.values()}) == 1
    for name, image in plain.items():
        assert [other for other, its in plain.items() if alike(image, its)] == [name]
        assert not alike(image, picture(0))


def test_numbers_equal_a_naive_computation() -> None:
    random = np.random.default_rng(0)
    left, right = random.integers(0, 256, (2, 5, 16, 16, 3), dtype=np.uint8)
    naive = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(left, right, strict=True)]
    assert correlation(left, right) == pytest.approx(naive, abs=1e-4)
    assert correlation(left, left) == pytest.approx([1] * 5)
    assert tint(left, left) == pytest.approx([0] * 5)
    hashes = random.integers(0, 2**64, (2, 5), dtype=np.uint64)
    assert hamming_distance(*hashes).tolist() == [
        bin(int(a) ^ int(b)).count("1") for a, b in hashes.T
    ]


def test_the_hash_is_the_comparison_of_neighbours() -> None:
    steps = np.zeros((8, 9), np.uint8)
    steps[0] = [0, 100, 50, 60, 60, 61, 200, 100, 103]
    image = Image.fromarray(steps).convert("RGB")
    assert f"{difference_hash(image):064b}" == "10100101" + 56 * "0"
