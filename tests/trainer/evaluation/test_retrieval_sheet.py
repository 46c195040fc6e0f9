"""The picture of what the model finds: what it shows, and how right and wrong are marked."""

from io import BytesIO
from itertools import groupby, pairwise

import numpy as np
import pytest
from PIL import Image, ImageColor

from trainer.data.records import Photo
from trainer.evaluation.metrics import retrieval_metrics
from trainer.evaluation.retrieval_sheet import (
    CELL,
    RIGHT,
    ROW_HEIGHT,
    TOP,
    WRONG,
    choose_queries,
    retrieval_sheet,
)

ANGLES = {"a0": 0, "a1": 50, "b0": 10, "b1": 18, "c0": 95}
PHOTOS = [Photo(name[0], name, title=f"Product {name[0]}") for name in ANGLES]
VECTORS = np.array(
    [(np.cos(np.radians(a)), np.sin(np.radians(a))) for a in ANGLES.values()], np.float32
)
COLOURS = {"a0": "#102030", "a1": "#405060", "b0": "#708090", "b1": "#a0b0c0", "c0": "#d0e0f0"}


def read(photo):
    """A photo of one colour, by which it is recognised in the sheet."""
    file = BytesIO()
    Image.new("RGB", (90, 60), COLOURS[photo.image]).save(file, "PNG")
    return file.getvalue()


def sheet(**options):
    itself = np.arange(len(PHOTOS))
    ids = [photo.product_id for photo in PHOTOS]
    metrics = retrieval_metrics(VECTORS, ids, VECTORS, ids, self_index=itself)
    arguments = PHOTOS, VECTORS, PHOTOS, VECTORS, metrics, read
    return retrieval_sheet(*arguments, self_index=itself, **options), metrics


def tiles(image, row):
    """The photos of a row from left to right, each with what its frame says."""
    names = {ImageColor.getrgb(colour): name for name, colour in COLOURS.items()}
    middle = TOP + row * ROW_HEIGHT + CELL // 2
    line = [
        colour for colour, _ in groupby(image.getpixel((x, middle)) for x in range(image.width))
    ]
    return [
        (names[inside], {RIGHT: True, WRONG: False}.get(frame))
        for frame, inside in pairwise(line)
        if inside in names
    ]


def test_shows_failures_worst_first_with_their_nearest_and_what_should_have_come_first():
    image, metrics = sheet(rows=3, columns=2)
    assert metrics.first_rank.tolist() == [3, 4, 1, 1, 0]
    assert [tiles(image, row) for row in range(3)] == [
        [("a1", None), ("b1", False), ("b0", False), ("a0", True)],
        [("a0", None), ("b0", False), ("b1", False), ("a1", True)],
        [("b0", None), ("b1", True), ("a0", False)],
    ]


def test_has_room_for_as_many_rows_and_columns_as_asked():
    small, _ = sheet(rows=1, columns=2)
    tall, _ = sheet(rows=3, columns=2)
    wide, _ = sheet(rows=1, columns=4)
    assert small.width == tall.width < wide.width
    assert small.height == wide.height < tall.height


@pytest.mark.parametrize(
    ("first_rank", "rows", "expected"),
    [
        ([1, 1, 1, 1], 3, [0, 2, 3]),
        ([4, 2, 9, 3], 2, [2, 1]),
        ([0, 5, 1, 2, 1, 0], 10, [1, 3, 2, 4]),
        ([1, 7, 6, 5, 4, 3, 2, 1, 1, 1], 5, [1, 3, 4, 6, 0]),
        ([0, 0], 5, []),
    ],
    ids=["all right", "all wrong", "fewer than rows", "four fifths fail", "nothing to find"],
)
def test_chooses_failures_from_the_worst_to_the_near_miss(first_rank, rows, expected):
    assert choose_queries(np.array(first_rank), rows) == expected


def test_real_photos_with_long_and_foreign_titles_fit(shared_data):
    from trainer.data.catalog import open_catalog

    catalog = open_catalog(shared_data / "emoji.tar")
    photos = catalog.photos[:6]
    vectors = np.eye(6, dtype=np.float32) + 0.5
    ids = [photo.product_id for photo in photos]
    metrics = retrieval_metrics(vectors, ids, vectors, ids, self_index=np.arange(6))
    titled = [
        Photo(photo.product_id, photo.image, title="Crème brûlée in Ærøskøbing, 6 × 100 g, new")
        for photo in photos
    ]
    image = retrieval_sheet(
        titled, vectors, titled, vectors, metrics, catalog.read, self_index=np.arange(6)
    )
    assert image.width > 500
