"""The map shows as many photos as fit, none over another."""

import base64
from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from trainer.data.records import Photo
from trainer.evaluation.report.map import (
    category_colours,
    embedding_map,
    photo_side,
    place_photos,
)
from trainer.evaluation.report.spectrum import spectrum
from trainer.figures import PALETTE

SIZE = (1500.0, 1000.0)


def points(count: int) -> np.ndarray:
    """A cloud that is dense in the middle, as principal components are."""
    random = np.random.default_rng(count)
    cloud = random.normal(0.5, 0.17, (count, 2)).clip(0, 1)
    return cloud * np.array(SIZE)


@pytest.mark.parametrize("count", [1, 2, 30, 200, 5000])
def test_photos_lie_inside_beside_each_other_and_near_their_place(count: int) -> None:
    side = photo_side(SIZE, count)
    places = points(count)
    shown = place_photos(places, SIZE, side)
    corners = np.array(list(shown.values()))
    assert corners.min() >= 0
    assert np.all(corners + side <= np.array(SIZE) + 1e-6)
    for a, b in combinations(range(len(corners)), 2):
        assert np.abs(corners[a] - corners[b]).max() >= side - 1e-6
    for number, corner in shown.items():
        away = np.abs(np.array(corner) + side / 2 - places[number])
        # In its own cell or the next, which are hardly larger than a photo.
        assert away.max() < 2 * side


def test_most_of_200_photos_are_shown_and_thousands_remain_legible() -> None:
    assert len(place_photos(points(200), SIZE, photo_side(SIZE, 200))) > 100
    assert photo_side(SIZE, 5000) >= 60


def test_of_two_photos_in_one_place_the_nearer_to_the_middle_of_the_cell_keeps_it() -> None:
    cell = place_photos(np.array([[55.0, 50.0], [50.0, 50.0]]), (300.0, 300.0), 100)
    assert cell[1] == (0.0, 0.0)
    assert cell[0] == (100.0, 0.0)


def test_the_most_frequent_categories_have_colours() -> None:
    names = [f"c{number:02}" for number in range(9) for _ in range(number + 1)]
    colours = category_colours([*names, "", ""])
    assert list(colours) == ["c08", "c07", "c06", "c05", "c04", "c03"]
    assert len(set(colours.values())) == len(PALETTE)


@pytest.mark.parametrize("with_photos", [True, False])
def test_photos_are_drawn_with_frames_of_their_category(with_photos: bool) -> None:
    photos = [Photo(f"p{number}", f"{number}", category="one") for number in range(3)]
    vectors = np.eye(3, dtype=np.float32)
    read = (lambda photo: Image.new("RGB", (30, 20), (255, 0, 0))) if with_photos else None
    uri = embedding_map(spectrum(vectors), photos, read)
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as image:
        pixels = np.asarray(image.convert("RGB"), int)
    red = np.abs(pixels - (255, 0, 0)).sum(axis=2) < 60
    assert red.any() == with_photos


def test_a_single_photo_and_equal_vectors_have_a_map() -> None:
    for count in (1, 4):
        vectors = np.tile(np.array([[0.6, 0.8]], np.float32), (count, 1))
        photos = [Photo("p", "0")] * count
        assert embedding_map(spectrum(vectors), photos, None).startswith("data:")
