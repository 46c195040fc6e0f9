"""A crop shows the part that it says, upright and in true colours, at a scale that is enough."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from function.errors import FunctionError
from function.photo import decode, plain_jpeg
from trainer.data.crop import Crop, jpeg_factor, load_crop, load_window, room_side

WHOLE = Crop(1.0, 1.0, 0.5, 0.5, mirrored=False)
CENTRE = Crop(0.25, 1.0, 0.5, 0.5, mirrored=False)

crops = st.builds(
    Crop,
    area=st.floats(0.01, 1),
    ratio=st.floats(1 / 4, 4),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    mirrored=st.booleans(),
)
sides = st.integers(1, 90)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def ramps(width: int, height: int) -> Image.Image:
    """Red rises from left to right and green from top to bottom, 0 to 255."""
    red = np.linspace(0, 255, width)[None, :]
    green = np.linspace(0, 255, height)[:, None]
    planes = np.broadcast_arrays(red, green, np.float64(128))
    return Image.fromarray(np.stack(planes, axis=-1).round().astype(np.uint8))


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


def test_the_whole_photo_is_a_plain_resize(photo: Callable[..., bytes]) -> None:
    data = photo(1, (48, 48))
    expected = np.asarray(decode(data).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(load_crop(data, 32, WHOLE) - expected.astype(np.int16)).max() <= 1


@given(crops, sides, sides)
def test_a_box_lies_inside_with_the_area_and_ratio_that_fit(
    crop: Crop, width: int, height: int
) -> None:
    left, top, right, bottom = crop.box(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    wide, high = right - left, bottom - top
    assert wide * high <= crop.area * width * height * (1 + 1e-9)
    if wide < 0.999 * width and high < 0.999 * height:
        assert wide * high == pytest.approx(crop.area * width * height, rel=1e-6)
        assert wide / high == pytest.approx(crop.ratio, rel=1e-6)
    assert left == pytest.approx(crop.x * (width - wide), abs=1e-6)
    assert top == pytest.approx(crop.y * (height - high), abs=1e-6)


@given(crops, sides, sides, st.sampled_from(["PNG", "JPEG"]))
def test_any_shape_of_photo_gives_the_size_that_is_asked(
    crop: Crop, width: int, height: int, kind: str
) -> None:
    pixels = load_crop(encoded(Image.new("RGB", (width, height), (200, 200, 200)), kind), 24, crop)
    assert pixels.shape == (24, 24, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - 200).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@given(crop=crops.filter(lambda crop: crop.area > 0.1))
def test_it_shows_the_part_that_the_box_names(kind: str, crop: Crop) -> None:
    pixels = load_crop(encoded(ramps(256, 200), kind), 32, crop).astype(float)
    left, top, right, bottom = crop.box(256, 200)
    first, last = (-1, 0) if crop.mirrored else (0, -1)
    # The outermost of 32 columns lie half a column inside the box.
    red = np.array([left, right]) + np.array([1, -1]) * (right - left) / 64
    green = np.array([top, bottom]) + np.array([1, -1]) * (bottom - top) / 64
    found = pixels.mean(axis=0)[[first, last], 0]
    assert found == pytest.approx(red * 255 / 256, abs=6)
    found = pixels.mean(axis=1)[[0, -1], 1]
    assert found == pytest.approx(green * 255 / 200, abs=6)


def test_the_mirror_image_is_the_mirror_image(photo: Callable[..., bytes]) -> None:
    data = photo(3, (80, 60))
    plain = load_crop(data, 32, Crop(0.5, 1.2, 0.3, 0.7, mirrored=False))
    mirrored = load_crop(data, 32, Crop(0.5, 1.2, 0.3, 0.7, mirrored=True))
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert not np.array_equal(mirrored, plain)


@given(crops, st.integers(100, 700), st.integers(100, 700), st.sampled_from([16, 32, 64]))
def test_decoding_is_no_larger_than_needed_and_no_smaller(
    crop: Crop, width: int, height: int, size: int
) -> None:
    jpeg = plain_jpeg(encoded(Image.new("RGB", (width, height)), "JPEG"))
    factor = jpeg_factor(jpeg, size, crop)
    left, top, right, bottom = crop.box(*jpeg.size(factor))
    side = min(right - left, bottom - top)
    assert factor == 1 or side >= size - 1
    assert factor == 8 or side < 2 * size + 2


def test_reduced_decoding_shows_the_same(photo: Callable[..., bytes]) -> None:
    data = photo(5, (512, 384))
    whole = decode(data).resize((48, 48), Image.Resampling.BILINEAR, CENTRE.box(512, 384))
    assert jpeg_factor(plain_jpeg(data), 48, CENTRE) == 4
    assert difference(load_crop(data, 48, CENTRE), np.asarray(whole)) < 2


def as_the_function_shows_it(data: bytes) -> np.ndarray:
    image = decode(data)
    box = WHOLE.box(*image.size)
    return np.asarray(image.resize((40, 40), Image.Resampling.BILINEAR, box)).astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(ramps(64, 48), "JPEG", exif=exif)
    assert np.abs(load_crop(data, 40, WHOLE) - as_the_function_shows_it(data)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("progressive", [True, False])
def test_every_kind_of_colour_is_as_the_function_shows_it(mode: str, progressive: bool) -> None:
    kind = "PNG" if mode in ("RGBA", "P") else "JPEG"
    data = encoded(ramps(64, 48).convert(mode), kind, progressive=progressive)
    assert np.abs(load_crop(data, 40, WHOLE) - as_the_function_shows_it(data)).max() <= 1


def test_a_colour_profile_is_honoured() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Red and blue change places: the tags of their primaries do, and the name that is believed.
    profile = srgb.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    profile = profile.replace("sRGB".encode("utf-16-be"), "odd ".encode("utf-16-be"))
    data, plain = (encoded(ramps(64, 48), "JPEG", icc_profile=icc) for icc in (profile, b""))
    found = load_crop(data, 40, WHOLE)
    assert np.abs(found - as_the_function_shows_it(data)).max() <= 1
    assert difference(found, load_crop(plain, 40, WHOLE)) > 5


@pytest.mark.parametrize("damage", ["cut short", "empty", "no photo"])
def test_what_cannot_be_decoded_says_so_as_the_function_does(
    damage: str, photo: Callable[..., bytes]
) -> None:
    whole = photo(1, (200, 200))
    data = {"cut short": whole[: len(whole) // 2], "empty": b"", "no photo": b"\xff\xd8\xff no"}
    with pytest.raises(FunctionError) as expected:
        decode(data[damage])
    with pytest.raises(type(expected.value), match=str(expected.value)[:40]):
        load_crop(data[damage], 32, WHOLE)
    with pytest.raises(type(expected.value), match=str(expected.value)[:40]):
        load_window(data[damage], 32, WHOLE, np.empty((80, 80, 3), np.uint8))


def test_a_window_holds_the_photos_own_pixels_around_the_crop() -> None:
    image = ramps(60, 50)
    room = np.full((80, 80, 3), 7, np.uint8)
    crop = Crop(0.25, 1.0, 0.3, 0.6, mirrored=True)
    window = load_window(encoded(image), 16, crop, room)
    left, top, right, bottom = crop.box(60, 50)
    columns, rows = window[4:].astype(int)
    # One output pixel is made of (right − left) / 16 < 2: no more than a pixel beyond is needed.
    x, y = round(left - window[2]), round(top - window[1])
    assert left - 2 < x <= left
    assert right <= x + columns < right + 2
    assert top - 2 < y <= top
    assert bottom <= y + rows < bottom + 2
    np.testing.assert_allclose(window[:4], [right - x, top - y, left - x, bottom - y], atol=1e-5)
    np.testing.assert_array_equal(
        room[:rows, :columns], np.asarray(image)[y : y + rows, x : x + columns]
    )
    assert (room[rows:] == 7).all()
    assert (room[:, columns:] == 7).all()


def test_what_the_room_is_too_small_for_is_put_in_as_the_square() -> None:
    data = encoded(ramps(160, 140))
    crop = Crop(0.9, 1.2, 0.3, 0.6, mirrored=True)
    room = np.empty((room_side(32, (3 / 4, 4 / 3)),) * 2 + (3,), np.uint8)
    window = load_window(data, 32, crop, room)
    assert window.tolist() == [0, 0, 32, 32, 32, 32]
    np.testing.assert_array_equal(room[:32, :32], load_crop(data, 32, crop))


@given(
    crop=st.builds(
        Crop,
        area=st.floats(0.3, 1),
        ratio=st.floats(3 / 4, 4 / 3),
        x=st.floats(0, 1),
        y=st.floats(0, 1),
        mirrored=st.booleans(),
    ),
    width=st.integers(30, 260),
    height=st.integers(30, 260),
    size=st.integers(8, 40),
)
def test_the_room_is_enough_for_jpegs_of_usual_shapes(
    crop: Crop, width: int, height: int, size: int
) -> None:
    left, top, right, bottom = crop.box(width, height)
    clipped = not (right - left < width and bottom - top < height)
    assume(not clipped and min(right - left, bottom - top) < 16 * size)
    data = encoded(Image.new("RGB", (width, height)), "JPEG")
    side = room_side(size, (3 / 4, 4 / 3))
    window = load_window(data, size, crop, np.empty((side, side, 3), np.uint8))
    jpeg = plain_jpeg(data)
    expected = crop.box(*jpeg.size(jpeg_factor(jpeg, size, crop)))
    assert abs(window[2] - window[0]) == pytest.approx(expected[2] - expected[0], abs=1e-3)
    assert max(window[4:]) <= side
