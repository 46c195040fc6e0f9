"""Copies are found in their degree; crowds stay cheap."""

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog, Photo
from trainer.data.statistics import duplicates as module
from trainer.data.statistics.duplicates import find_duplicates, members
from trainer.data.statistics.measure import Measurements, measure
from trainer.errors import CatalogError

Picture = Callable[..., Image.Image]
Encode = Callable[..., bytes]
Photos = Callable[[Mapping[str, bytes]], Catalog]


@pytest.fixture
def copies(picture: Picture, encode: Encode, photos: Photos) -> Catalog:
    """One picture in many forms, its mirror image, and other pictures."""
    original = picture(0)
    saved = encode(original)
    shown = Image.open(BytesIO(saved))
    half = original.resize((80, 60), Image.Resampling.BICUBIC)
    return photos(
        {
            "a/0 original.jpg": saved,
            "a/1 lossless.png": encode(shown, "PNG"),
            "b/2 exact.jpg": saved,
            "c/3 again.jpg": encode(original, quality=60),
            "d/4 half.jpg": encode(half),
            "e/5 bright.jpg": encode(ImageEnhance.Brightness(original).enhance(1.2)),
            "f/6 mirror.jpg": encode(ImageOps.mirror(original)),
            "g/7 other.jpg": encode(picture(1)),
            "h/8 other.jpg": encode(picture(2)),
        }
    )


def names(catalog: Catalog, labels: np.ndarray) -> list[list[str]]:
    return [
        [catalog.photos[row].image.split()[0][-1] for row in group] for group in members(labels)
    ]


def test_copies_are_found_in_their_degree_and_the_mirror_image_is_none(copies: Catalog) -> None:
    found = find_duplicates(measure(copies))
    assert names(copies, found.same_bytes) == [["0", "2"]]
    assert names(copies, found.same_pixels) == [["0", "1", "2"]]
    assert names(copies, found.near) == [["0", "1", "2", "3", "4", "5"]]
    assert (found.not_compared, found.complete) == (0, True)


def test_measurements_are_those_of_the_stored_photos(
    picture: Picture, encode: Encode, photos: Photos
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    file = BytesIO()
    picture(3, (200, 100)).save(file, "JPEG", exif=turned)
    catalog = photos(
        {
            "a/1.png": encode(picture(1, (300, 150)), "PNG"),
            "a/2.jpg": file.getvalue(),
            "b/3.jpg": b"x",
        }
    )
    measured = measure(catalog)
    assert measured.formats == ("PNG", "JPEG")
    assert measured.sizes.tolist() == [[300, 150], [100, 200]]
    assert measured.file_bytes.tolist() == catalog.source.sizes(["a/1.png", "a/2.jpg"])
    ((photo, reason),) = measured.unreadable
    assert photo.image == "b/3.jpg"
    assert "not an image of a type" in reason


def test_a_catalogue_without_one_readable_photo_is_refused(photos: Photos) -> None:
    with pytest.raises(CatalogError, match=r"a/1\.jpg: .*image"):
        measure(photos({"a/1.jpg": b"no photo"}))


class Nowhere:
    """A source whose photos nothing reads."""

    location = "nowhere"

    def read(self, image: str) -> bytes:
        raise AssertionError(f"{image} was read")

    def sizes(self, images: object) -> list[int | None]:
        raise AssertionError


def measurements(
    hashes: np.ndarray, pixels: np.ndarray, digests: list[bytes] | None = None
) -> Measurements:
    """Photos that were never taken, each of its own size so that none is decoded again."""
    count = len(hashes)
    photos = tuple(Photo(product_id=f"p{row}", image=f"{row}.jpg") for row in range(count))
    return Measurements(
        catalog=Catalog("crowd", Nowhere(), photos),
        unreadable=(),
        formats=("JPEG",) * count,
        sizes=np.stack([np.arange(count), np.arange(count)], axis=1),
        file_bytes=np.ones(count, np.int64),
        digests=tuple(digests or [f"{row}".encode() for row in range(count)]),
        hashes=hashes.astype(np.uint64),
        pixels=pixels,
    )


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs each verification compares."""
    counts: list[int] = []
    original = module.same_picture

    def counting(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        counts.append(len(left))
        return original(left, right)

    monkeypatch.setattr(module, "same_picture", counting)
    return counts


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def test_ten_thousand_copies_cost_one_comparison_each(verified: list[int]) -> None:
    pixels = np.repeat(noise(1), 10_000, axis=0)
    found = find_duplicates(measurements(np.zeros(10_000), pixels))
    assert [len(group) for group in members(found.near)] == [10_000]
    assert sum(verified) <= 10_000


def test_ten_thousand_times_the_same_file_costs_nothing(verified: list[int]) -> None:
    pixels = np.repeat(noise(1), 10_000, axis=0)
    found = find_duplicates(measurements(np.zeros(10_000), pixels, [b"same"] * 10_000))
    assert [len(group) for group in members(found.same_bytes)] == [10_000]
    assert sum(verified) == 0


def test_pictures_that_share_a_hash_and_nothing_else_are_bounded_and_counted(
    verified: list[int],
) -> None:
    found = find_duplicates(measurements(np.zeros(1_000), noise(1_000)))
    assert members(found.near) == []
    assert found.not_compared == 1_000 - module.MAX_LOOKS
    assert sum(verified) < 1_000 * module.MAX_LOOKS + module.MAX_LOOKS**2


def test_too_many_candidates_end_the_search_and_it_says_so(verified: list[int]) -> None:
    hashes = np.arange(32)
    measured = measurements(hashes, noise(32))
    assert find_duplicates(measured).complete
    assert not find_duplicates(measured, max_candidates=10).complete


def test_plain_pictures_of_other_colours_are_no_copies() -> None:
    colours = np.random.default_rng(0).permutation(40)[:, None, None, None] * 6
    pixels = np.broadcast_to(colours, (40, 16, 16, 3)).astype(np.uint8)
    found = find_duplicates(measurements(np.zeros(40), pixels))
    assert members(found.near) == []


def test_a_real_shop_has_few_copies_across_products_and_these_look_the_same(
    shared_data: Path,
) -> None:
    measured = measure(open_catalog(shared_data / "luma.tar"))
    photos = measured.catalog.photos
    across = [
        {photos[row].product_id for row in group}
        for group in members(find_duplicates(measured).near)
        if len({photos[row].product_id for row in group}) > 1
    ]
    assert {"luma_gift-card-physical-custom", "luma_gift-card-virtual-custom"} in across
    assert len(across) <= 3
