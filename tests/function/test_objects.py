"""Things in a photo: where they are proposed to be, and what is found by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from function.embedder import SharesUnavailable
from function.manifest import ModelInfo, Precision
from function.objects import MAX_OBJECTS, ObjectFinder, brightest, overlap, pooled
from function.region import Box
from tests.indices import photo_index

# Eight rows and columns of positions.
SIZE, CELL = 256, 32
THINGS = 6
LEFT, RIGHT = (0.0, 0.0, 0.375, 0.375), (0.5, 0.625, 0.875, 1.0)


class Palette:
    """A network of one layer: each position tells which of 4 × 4 × 4 colours its pixels have."""

    dim, image_size = 64, SIZE
    precision: Precision = "float"

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([self.shares(photo).sum(axis=(0, 1)) for photo in pixels])

    def shares(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        colours = (photo // 64).astype(np.int64) @ np.array([16, 4, 1])
        cells = np.eye(64, dtype=np.float32)[colours].reshape(SIZE // CELL, CELL, -1, CELL, 64)
        positions = cells.sum(axis=(1, 3))
        unit: NDArray[np.float32] = positions / np.linalg.norm(positions.sum(axis=(0, 1)))
        return unit


def cloth(number: int) -> NDArray[np.uint8]:
    """Squares of two colours, all over; no two cloths share one."""
    one, other = ((number % 4 * 64, number // 4 * 64, blue) for blue in (80, 150))
    across, down = np.indices((SIZE, SIZE)) // 8
    return np.where(((across + down) % 2)[..., None], one, other).astype(np.uint8)


def composite(things: dict[int, Box]) -> NDArray[np.uint8]:
    """A grey photo with things at boxes, in fractions of its side."""
    photo = np.full((SIZE, SIZE, 3), 200, np.uint8)
    for number, box in things.items():
        left, top, right, bottom = (round(edge * SIZE) for edge in box)
        photo[top:bottom, left:right] = cloth(number)[: bottom - top, : right - left]
    return photo


# -- arithmetic


@pytest.mark.parametrize("box", [(0, 0, 2, 3), (5, 4, 8, 8), (2, 1, 3, 2), (0, 3, 8, 5)])
def test_the_bright_region_is_that_around_the_brightest_point(
    box: tuple[int, int, int, int],
) -> None:
    left, top, right, bottom = box
    light = np.zeros((8, 8), np.float32)
    light[top:bottom, left:right] = 1
    light[top, left] = 1.01
    found = brightest(light)
    assert np.abs(np.array(found) - np.array(box) / 8).max() <= 0.5 / 8


def test_another_bright_region_is_not_part_of_it() -> None:
    light = np.zeros((8, 8), np.float32)
    light[1:3, 1:3] = 1
    light[5:8, 4:8] = 0.95
    left, top, right, bottom = brightest(light)
    assert max(right, bottom) < 0.45
    assert min(left, top) > 0.05


def test_where_all_is_alike_the_whole_is_lit() -> None:
    assert brightest(np.full((4, 5), 0.3, np.float32)) == (0, 0, 1, 1)


edges = st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0.1, 0.3), st.floats(0.1, 0.3)
boxes = st.tuples(*edges).map(lambda x: (x[0], x[1], x[0] + x[2], x[1] + x[3]))


@given(boxes, boxes)
def test_overlap_is_that_of_points(one: Box, other: Box) -> None:
    centres = (np.arange(200) + 0.5) / 200
    masks = []
    for left, top, right, bottom in (one, other):
        across, down = (
            (low < centres) & (centres < high) for low, high in ((left, right), (top, bottom))
        )
        masks.append(np.outer(down, across))
    expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert overlap(one, other) == pytest.approx(expected, abs=0.12)
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, one) == pytest.approx(1)


def test_a_part_is_the_sum_of_its_shares_and_those_at_its_edges_count_by_area() -> None:
    shares = np.random.default_rng(0).normal(size=(4, 4, 6)).astype(np.float32)
    expected = np.zeros(6)
    for row, height in ((0, 0.5), (1, 1), (2, 0.5)):
        for column, width in ((2, 1), (3, 1)):
            expected += height * width * shares[row, column]
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(pooled(shares, (0.5, 0.125, 1, 0.625)), expected, atol=1e-6)


# -- the finder


INFO = ModelInfo("m", "palette", 64, SIZE, "average")


@pytest.fixture(scope="module")
def finder() -> ObjectFinder:
    """Over a catalogue of cloths on grey, as a shop would show them."""
    embedder = Palette()
    shown = [composite({number: (0.2, 0.2, 0.8, 0.8)}) for number in range(THINGS)]
    return ObjectFinder(embedder, photo_index(embedder.embed(np.stack(shown))), INFO)


def test_each_thing_has_a_box(finder: ObjectFinder) -> None:
    for one in range(THINGS):
        things = {one: LEFT, (one + 2) % THINGS: RIGHT}
        found = finder.boxes(composite(things), MAX_OBJECTS)
        for box in things.values():
            assert max(overlap(box, other) for other in found) > 0.5


def test_no_two_boxes_are_of_one_thing_and_none_is_beyond_what_is_wanted(
    finder: ObjectFinder,
) -> None:
    photo = composite({0: LEFT, 1: RIGHT, 2: (0.625, 0, 1, 0.375)})
    found = finder.boxes(photo, MAX_OBJECTS)
    assert 3 <= len(found) <= MAX_OBJECTS
    pairs = [(one, two) for place, one in enumerate(found) for two in found[:place]]
    assert all(overlap(*pair) < 0.3 for pair in pairs)
    assert finder.boxes(photo, 2) == found[:2]


def test_things_are_such_as_may_be_found(finder: ObjectFinder) -> None:
    photo = composite({0: LEFT, 1: RIGHT})
    allowed = np.arange(THINGS) == 1
    (box, *_) = finder.boxes(photo, MAX_OBJECTS, allowed)
    assert overlap(box, RIGHT) > 0.5
    assert finder.boxes(photo, MAX_OBJECTS, np.zeros(THINGS, bool)) == []


def test_a_map_that_is_too_coarse_says_so() -> None:
    class Coarse(Palette):
        def shares(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
            return super().shares(photo)[:3]

    finder = ObjectFinder(Coarse(), photo_index(np.eye(64, dtype=np.float32)), INFO)
    with pytest.raises(SharesUnavailable, match="3 by 8 positions"):
        finder.boxes(composite({0: LEFT}), MAX_OBJECTS)
