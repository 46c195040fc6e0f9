"""The device's resize is the host's, within a grey level, whatever lies around and beside."""

from io import BytesIO

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainer.data.crop import Crop, load_crop, load_window, room_side
from trainer.data.resample import resample

RATIO = (3 / 4, 4 / 3)

crops = st.builds(
    Crop,
    area=st.floats(0.05, 1),
    ratio=st.floats(0.5, 2),
    x=st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    y=st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    mirrored=st.booleans(),
)


def photo(width: int, height: int, kind: str = "PNG", seed: int = 0) -> bytes:
    """Noise: a wrong weight anywhere shows."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def by_device(data: bytes, size: int, crop: Crop, side: int = 0, dirt: int = 0) -> np.ndarray:
    side = side or room_side(size, RATIO)
    room = np.full((side, side, 3), dirt, np.uint8)
    window = load_window(data, size, crop, room)
    return np.asarray(resample(*jax.device_put((room[None], window[None])), size))[0]


def assert_within_a_level(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.shape, found.dtype) == (expected.shape, np.uint8)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


@settings(max_examples=150)
@given(
    crop=crops,
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.sampled_from([1, 7, 24]),
    kind=st.sampled_from(["PNG", "JPEG"]),
)
def test_it_is_pillows_resize_within_a_level(
    crop: Crop, width: int, height: int, size: int, kind: str
) -> None:
    data = photo(width, height, kind)
    # Room for all: also windows far larger than usual go through the device.
    assert_within_a_level(by_device(data, size, crop, side=96), load_crop(data, size, crop))


@settings(max_examples=25)
@given(crop=crops, width=st.integers(16, 900), height=st.integers(16, 900))
def test_it_is_in_rooms_of_the_usual_size(crop: Crop, width: int, height: int) -> None:
    data = photo(width, height, "JPEG")
    assert_within_a_level(by_device(data, 32, crop), load_crop(data, 32, crop))


def test_it_is_the_formula() -> None:
    data = photo(50, 40, seed=3)
    pixels = np.asarray(Image.open(BytesIO(data))).astype(float)
    crop = Crop(0.4, 1.3, 0.2, 0.9, mirrored=False)
    left, top, right, bottom = crop.box(50, 40)
    size = 10
    expected = np.empty((size, size, 3))
    for row in range(size):
        for column in range(size):
            total, weights = np.zeros(3), 0.0
            for y in range(40):
                for x in range(50):
                    weight = 1.0
                    for place, first, last, number in (
                        (x, left, right, column),
                        (y, top, bottom, row),
                    ):
                        scale = (last - first) / size
                        centre = first + (number + 0.5) * scale
                        weight *= max(0.0, 1 - abs(place + 0.5 - centre) / max(1.0, scale))
                    total += weight * pixels[y, x]
                    weights += weight
            expected[row, column] = total / weights
    found = by_device(data, size, crop, side=64)
    assert np.abs(found - expected).max() < 0.51


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_square_that_the_host_made_stays_as_it_is(mirrored: bool) -> None:
    data = photo(300, 200, seed=1)
    crop = Crop(0.9, 1.1, 0.4, 0.4, mirrored=mirrored)
    np.testing.assert_array_equal(by_device(data, 24, crop), load_crop(data, 24, crop))


def test_what_lies_beyond_the_window_is_never_seen() -> None:
    data = photo(40, 30)
    crop = Crop(0.7, 1.0, 1.0, 1.0, mirrored=False)
    clean, dirty = (by_device(data, 24, crop, dirt=dirt) for dirt in (0, 255))
    np.testing.assert_array_equal(clean, dirty)


def test_photos_of_a_batch_do_not_see_each_other() -> None:
    random = np.random.default_rng(0)
    side = room_side(24, RATIO)
    rooms = random.integers(0, 256, (6, side, side, 3), np.uint8)
    windows = np.stack(
        [
            load_window(photo(60, 50, seed=row), 24, Crop(0.5, 1.0, x, x, row % 2 == 0), rooms[row])
            for row, x in enumerate(random.random(6))
        ]
    )
    together = np.asarray(resample(*jax.device_put((rooms, windows)), 24))
    for room, window, found in zip(rooms, windows, together, strict=True):
        alone = np.asarray(resample(*jax.device_put((room[None], window[None])), 24))[0]
        np.testing.assert_array_equal(found, alone)
