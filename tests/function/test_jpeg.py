"""A plain JPEG decodes to Pillow's pixels, bit for bit; all else is left to Pillow, errors too."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from function import photo
from function.errors import FunctionError
from function.jpeg import FACTORS, PlainJpeg, read_plain_jpeg
from function.photo import PhotoLimits, decode, load_pixels, plain_jpeg
from tests.damage import damaged


def encoded(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    # Pillow's guess at the size of a progressive file is too small for noise.
    with mock.patch.object(ImageFile, "MAXBLOCK", 1 << 20):
        image.save(file, "JPEG", **options)
    return file.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth and sharp at once: colour in every frequency."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (3, 4, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    sharp = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
    return Image.blend(smooth, sharp, 0.3)


def read(data: bytes) -> PlainJpeg | None:
    return read_plain_jpeg(data, max_scans=100)


def by_pillow(data: bytes, factor: int) -> np.ndarray:
    """What Pillow alone gives."""
    image = Image.open(BytesIO(data))
    image.draft(None, (image.width // factor, image.height // factor))
    return np.asarray(image.convert("RGB"))


def without_the_short_way() -> mock._patch:
    return mock.patch.object(photo, "read_plain_jpeg", return_value=None)


files = st.builds(
    lambda width, height, seed, **options: encoded(noise(width, height, seed), **options),
    width=st.integers(16, 300),
    height=st.integers(16, 300),
    seed=st.integers(0, 50),
    quality=st.integers(1, 92),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    progressive=st.booleans(),
    restart_marker_blocks=st.integers(0, 3),
    comment=st.binary(max_size=9),
)


@settings(max_examples=150)
@given(data=files, factor=st.sampled_from(FACTORS))
def test_every_scale_has_pillows_pixels(data: bytes, factor: int) -> None:
    jpeg = read(data)
    assert jpeg is not None
    expected = by_pillow(data, factor)
    assert jpeg.size(factor) == expected.shape[1::-1]
    found = jpeg.decode(factor)
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    found = jpeg.decode(factor, "RGBX")
    assert found is not None
    np.testing.assert_array_equal(found[..., :3], expected)


@settings(max_examples=100)
@given(data=files, side=st.none() | st.integers(1, 200))
def test_photos_are_bit_for_bit_those_that_pillow_gives(data: bytes, side: int | None) -> None:
    assert plain_jpeg(data) is not None
    found = decode(data, reduce_to=side)
    with without_the_short_way():
        expected = decode(data, reduce_to=side)
    assert (found.mode, found.info) == ("RGB", {})
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (15, 15), (16, 3), (17, 2000)])
@pytest.mark.parametrize("factor", FACTORS)
def test_narrow_and_tiny_photos_too(size: tuple[int, int], factor: int) -> None:
    data = encoded(noise(*size))
    side = max(1, min(size) // factor)
    found = decode(data, reduce_to=side)
    with without_the_short_way():
        np.testing.assert_array_equal(np.asarray(found), np.asarray(decode(data, reduce_to=side)))
    if factor <= min(size) and (jpeg := read(data)) is not None:
        np.testing.assert_array_equal(jpeg.decode(factor), by_pillow(data, factor))


def test_a_photo_beyond_the_memory_that_is_kept_has_its_own() -> None:
    data = encoded(noise(1600, 1200), quality=40)
    jpeg = read(data)
    assert jpeg is not None
    first = jpeg.decode(1)
    kept = first.copy()
    jpeg.decode(1)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(kept, by_pillow(data, 1))


def test_colour_that_is_stored_as_rgb_is_read_as_such() -> None:
    data = encoded(noise(64, 48), keep_rgb=True)
    np.testing.assert_array_equal(read(data).decode(2), by_pillow(data, 2))


def test_what_raises_a_question_is_left_to_pillow() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture, plain = noise(64, 48), encoded(noise(64, 48))
    frame = plain[(start := plain.index(b"\xff\xc0")) : start + 19]
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>"
    questions = {
        "orientation": encoded(picture, exif=exif),
        "orientation in XMP": encoded(picture, xmp=xmp),
        "profile": encoded(picture, icc_profile=profile),
        "grey": encoded(picture.convert("L")),
        "CMYK": encoded(picture.convert("CMYK")),
        "another format": b"\x89PNG\r\n\x1a\n" + plain,
        "no photo": b"\xff\xd8\xff no",
        "short": plain[:200],
        "nothing": b"",
        "no marker": plain[:2] + b"\0" + plain[2:],
        "two frames": plain.replace(frame, 2 * frame),
        "arithmetic coding": plain.replace(b"\xff\xc0", b"\xff\xc9"),
        "twelve bits": plain.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    }
    assert read(plain) is not None
    for name, data in questions.items():
        assert read(data) is None, name


def test_limits_hold_before_a_pixel_is_decoded() -> None:
    data = encoded(noise(96, 64))
    size = len(data)
    assert plain_jpeg(data, PhotoLimits(max_bytes=size, max_pixels=96 * 64)) is not None
    assert plain_jpeg(data, PhotoLimits(max_bytes=size - 1)) is None
    assert plain_jpeg(data, PhotoLimits(max_pixels=96 * 64 - 1)) is None
    progressive = encoded(noise(96, 64), progressive=True)
    scans = progressive.count(b"\xff\xda")
    assert plain_jpeg(progressive, PhotoLimits(max_scans=scans)) is not None
    assert plain_jpeg(progressive, PhotoLimits(max_scans=scans - 1)) is None


def test_a_sequential_jpeg_of_many_scans_is_not_plain() -> None:
    data = encoded(noise(96, 64))
    scan = data.index(b"\xff\xda")
    first_of_three = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    assert read(data[:scan] + first_of_three + data[scan + 14 :]) is None


SEEDS = [
    encoded(noise(40, 32), quality=60, **options)
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2})
]


def outcome(data: bytes) -> object:
    """The pixels, or the error with all that a caller sees of it."""
    try:
        return load_pixels(data, 16).tobytes()
    except FunctionError as error:
        return type(error), error.reason, error.message, error.metadata


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=300)
@given(data=damaged(SEEDS))
def test_damage_has_the_outcome_that_pillow_gives_it(data: bytes) -> None:
    found = outcome(data)
    with without_the_short_way():
        assert found == outcome(data)


def test_threads_decode_side_by_side_each_in_memory_of_its_own() -> None:
    jpegs = [read(encoded(noise(160, 120, seed), subsampling=0)) for seed in range(8)]
    expected = [jpeg.decode(1).copy() for jpeg in jpegs]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda turn: jpegs[turn % 8].decode(1).copy(), range(400))
    for turn, pixels in enumerate(found):
        np.testing.assert_array_equal(pixels, expected[turn % 8])


def test_other_threads_run_while_a_photo_is_decoded() -> None:
    jpeg = read(encoded(noise(3000, 2000), quality=95))
    decoding = threading.Thread(target=jpeg.decode, args=(1,))
    longest, before = 0.0, time.perf_counter()
    decoding.start()
    while decoding.is_alive():
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    alone = time.perf_counter()
    jpeg.decode(1)
    # Were the interpreter's lock held, this thread would have stood still all the while.
    assert longest < 0.6 * (time.perf_counter() - alone)
