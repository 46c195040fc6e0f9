"""Photos made to harm are read or refused by their listed reason, before they cost much."""

from collections import deque
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from function.errors import BadImage, FunctionError
from function.photo import PhotoLimits, decode, load_pixels
from function.pieces import Pieces
from tests.hostile_photos import (
    ALL,
    LARGE,
    OUTCOMES,
    encoded,
    gradient,
    jpeg,
    orientation,
    png,
    png_chunk,
)

QUICKLY_MADE = [name for name in ALL if name not in LARGE]


def outcome(data: bytes) -> str:
    """A reason of refusal; "" where there are pixels."""
    try:
        pixels = load_pixels(data, 224)
    except FunctionError as error:
        return error.reason
    assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)
    return ""


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", QUICKLY_MADE)
def test_a_hostile_photo_is_read_or_refused_as_listed(name: str) -> None:
    assert outcome(ALL[name]()) == OUTCOMES[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_largest_photo_of_every_kind_is_read(name: str) -> None:
    assert outcome(ALL[name]()) == ""


def test_what_is_read_in_pieces_of_a_fair_size_is_read_to_its_end() -> None:
    data = bytes(3_000_000)
    file = Pieces(data)
    assert sum(len(file.read(256)) for _ in range(len(data) // 256)) == len(data) // 256 * 256
    assert Pieces(data).read() == data


def test_endless_small_pieces_end_after_some_thousands() -> None:
    file = Pieces(bytes(3_000_000))
    for _ in range(4_000):
        file.read(1)
    with pytest.raises(BadImage, match="small pieces"):
        deque(iter(partial(file.read, 1), b""))
    assert file.tell() < 5_000


def test_a_png_in_small_chunks_is_still_read() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), "PNG")
    place = whole.index(b"IDAT") - 4
    end = whole.index(b"IEND") - 4
    pixels = BytesIO()
    # Its pixels again, in the smallest chunks that an encoder is known to write.
    packed = b"".join(chunk[8:-4] for chunk in chunks(whole[place:end]))
    for start in range(0, len(packed), 1024):
        pixels.write(png_chunk(b"IDAT", packed[start : start + 1024]))
    data = whole[:place] + pixels.getvalue() + whole[end:]
    assert len(packed) / 1024 > 2_000
    np.testing.assert_array_equal(np.asarray(decode(data)), noise)


def chunks(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = int.from_bytes(data[:4]) + 12
        found.append(data[:length])
        data = data[length:]
    return found


@pytest.mark.parametrize("size", [(40, 1), (1, 40)])
def test_a_side_may_be_so_long_and_no_longer(size: tuple[int, int]) -> None:
    data = png(*size, 2)
    assert decode(data, limits=PhotoLimits(max_side=40)).size == size
    with pytest.raises(BadImage, match="40 pixels long; the limit is 39") as caught:
        decode(data, limits=PhotoLimits(max_side=39))
    assert caught.value.reason == "IMAGE_TOO_MANY_PIXELS"
    assert caught.value.metadata == {"limit": "39"}


@pytest.mark.parametrize("bits", [1, 8, 24, 32])
def test_every_plain_bitmap_is_read(bits: int) -> None:
    mode = {1: "1", 8: "L", 24: "RGB", 32: "RGBA"}[bits]
    assert outcome(encoded(gradient().convert(mode), "BMP")) == ""


@pytest.mark.parametrize("orientation_", range(1, 9))
def test_of_several_pictures_in_one_file_the_first_counts(orientation_: int) -> None:
    others = {"save_all": True, "append_images": [Image.new("RGB", (96, 64))]}
    exif = orientation(orientation_)
    found = decode(encoded(gradient(), "MPO", exif=exif, **others))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(decode(jpeg(exif=exif))))


def test_what_stands_behind_a_photo_or_in_its_comments_changes_no_pixel() -> None:
    plain = decode(jpeg())
    for name in ("JPEG and ZIP", "JPEG and HTML", "JPEG and PDF"):
        np.testing.assert_array_equal(np.asarray(decode(ALL[name]())), np.asarray(plain))
