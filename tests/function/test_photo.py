"""Untrusted bytes become upright sRGB pixels, or an error that a caller may see."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from function.errors import BadImage, FunctionError, PayloadTooLarge, UnsupportedImage
from function.photo import (
    FORMATS,
    PhotoLimits,
    decode,
    load_pixels,
    resize_to_square,
)
from tests.damage import damaged

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 60), (30, 60, 200), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    output = BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Red on the left, green on the upper right, blue on the lower right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (width // 2, height // 2, width, height))
    return image


def png(width: int, height: int, *, bits: int = 8, rows: bytes = b"") -> bytes:
    """A grey PNG written by hand: its header may promise what Pillow would not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def assert_near(found: object, expected: object, tolerance: float = 12) -> None:
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), np.asarray(expected, dtype=float), atol=tolerance
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind: str) -> None:
    image = decode(encoded(picture(), kind))
    assert (image.mode, image.size) == ("RGB", (96, 64))
    assert_near(image.getpixel((10, 10)), RED)
    assert_near(image.getpixel((85, 10)), GREEN)
    assert_near(image.getpixel((85, 55)), BLUE)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO", "EPS", "PDF"])
def test_a_format_outside_the_list_is_an_unsupported_image(kind: str) -> None:
    with pytest.raises(UnsupportedImage, match="JPEG, PNG, WEBP"):
        decode(encoded(picture(), kind))


@pytest.mark.parametrize("data", [b"just text", b"<html></html>", b"\x00", b"RIFF1234WAVE"])
def test_bytes_that_are_no_image_are_an_unsupported_image(data: bytes) -> None:
    with pytest.raises(UnsupportedImage) as caught:
        decode(data)
    assert caught.value.http_status == 415


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"heim"])
def test_a_phones_heic_is_named(brand: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="is HEIC, and not an image of a type"):
        decode(b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00mif1heic")


def test_an_empty_upload_says_so() -> None:
    with pytest.raises(BadImage) as caught:
        decode(b"")
    assert caught.value.reason == "IMAGE_EMPTY"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_photo_is_a_bad_image(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(BadImage) as caught:
        decode(data[: max(int(len(data) * share), 20)])
    assert caught.value.reason == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("side", [10_000, 15_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(
        BadImage, match=rf"{side * side / 1e6:.4g} megapixels; the limit is 50\."
    ) as caught:
        decode(png(side, side))
    assert caught.value.reason == "IMAGE_TOO_MANY_PIXELS"
    assert caught.value.metadata == {"limit": "50000000"}


def test_an_image_without_pixels_is_a_bad_image() -> None:
    with pytest.raises(BadImage):
        decode(png(0, 5))


def test_the_limits_are_inclusive() -> None:
    data = encoded(picture(96, 64))
    decode(data, limits=PhotoLimits(max_bytes=len(data), max_pixels=96 * 64))
    with pytest.raises(BadImage, match="megapixels"):
        decode(data, limits=PhotoLimits(max_pixels=96 * 64 - 1))
    with pytest.raises(PayloadTooLarge) as caught:
        decode(data, limits=PhotoLimits(max_bytes=len(data) - 1))
    assert caught.value.reason == "IMAGE_TOO_MANY_BYTES"


def test_a_progressive_jpeg_is_read_but_not_one_of_endless_scans() -> None:
    data = encoded(picture(), "JPEG", progressive=True)
    assert_near(decode(data).getpixel((10, 10)), RED)
    first_scan = data.index(b"\xff\xda")
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"
    endless = data[:first_scan] + scan * 101 + data[first_scan:]
    with pytest.raises(BadImage) as caught:
        decode(endless)
    assert caught.value.reason == "IMAGE_TOO_MANY_SCANS"


def test_a_sequential_jpeg_of_endless_scans_is_refused_too() -> None:
    data = encoded(picture(), "JPEG")
    first_scan = data.index(b"\xff\xda")
    # Each a pass over all blocks of the first component.
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    few, endless = (data[:first_scan] + scan * n + b"\x00\xff\xd9" for n in (100, 101))
    decode(few)
    with pytest.raises(BadImage) as caught:
        decode(endless)
    assert caught.value.reason == "IMAGE_TOO_MANY_SCANS"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_metadata_dropped(kind: str, orientation: int) -> None:
    # What the camera stored is the upright picture, turned back.
    stored = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]
    image = picture()
    for method in stored:
        image = image.transpose(method)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "where I live"
    upright = decode(encoded(image, kind, exif=exif, quality=95))
    assert upright.size == (96, 64)
    assert_near(upright.getpixel((10, 10)), RED)
    assert_near(upright.getpixel((85, 10)), GREEN)
    assert_near(upright.getpixel((85, 55)), BLUE)
    assert not upright.info
    assert not upright.getexif()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_metadata_does_not_cost_the_photo() -> None:
    data = encoded(picture(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff broken")
    assert_near(decode(data).getpixel((10, 10)), RED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    flat = Image.new("RGB", (8, 8), WHITE).convert(mode)
    image = decode(encoded(flat))
    assert image.mode == "RGB"
    assert image.getpixel((4, 4)) == WHITE


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert decode(encoded(clear)).getpixel((4, 4)) == WHITE
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert_near(decode(encoded(half)).getpixel((4, 4)), (127, 127, 127), 1)
    keyed = encoded(Image.new("RGB", (8, 8), (0, 0, 0)), transparency=(0, 0, 0))
    assert decode(keyed).getpixel((4, 4)) == WHITE
    palette = encoded(Image.new("RGB", (8, 8)).convert("P"), "GIF", transparency=0)
    assert decode(palette).getpixel((4, 4)) == WHITE


def test_sixteen_bits_keep_their_grey() -> None:
    rows = (b"\x00" + b"\x80\x00" * 8) * 8
    assert decode(png(8, 8, bits=16, rows=rows)).getpixel((4, 4)) == (128, 128, 128)


def test_cmyk_is_read() -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode(encoded(cmyk, "JPEG", quality=95)).getpixel((8, 8))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60


def test_an_embedded_profile_is_turned_into_srgb() -> None:
    # L*=50, a*=b*=0 is the grey 119 in sRGB; the profile says that the numbers are Lab.
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_near(decode(encoded(picture(), icc_profile=linear)).getpixel((10, 10)), RED, 1)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert_near(decode(encoded(picture(), icc_profile=lab)).getpixel((10, 10)), RED, 1)
    assert_near(decode(encoded(picture(), icc_profile=b"nonsense")).getpixel((10, 10)), RED, 1)


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        assert_near(decode(data).getpixel((8, 8)), RED)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_reduced_photo_keeps_its_shorter_side(kind: str) -> None:
    image = decode(encoded(picture(1200, 800), kind), reduce_to=100)
    assert 100 <= min(image.size) < 400
    assert image.width / image.height == pytest.approx(1.5, rel=0.01)


def test_the_whole_photo_becomes_the_square() -> None:
    image = Image.new("RGB", (300, 100), RED)
    image.paste(BLUE, (150, 0, 300, 100))
    pixels = resize_to_square(image, 50)
    assert (pixels.shape, pixels.dtype) == ((50, 50, 3), np.uint8)
    assert (pixels[:, :23] == RED).all()
    assert (pixels[:, 27:] == BLUE).all()


def photo(width: int, height: int) -> Image.Image:
    """Detail of every size, the less the finer, as photographs have it."""
    random = np.random.default_rng(0)
    pixels = np.full((height, width, 3), 128.0)
    columns = 4
    while columns < max(width, height):
        shape = (max(2, columns * height // width), columns, 3)
        layer = np.clip(random.normal(128, 42, shape), 0, 255).astype(np.uint8)
        enlarged = Image.fromarray(layer).resize((width, height), Image.Resampling.BICUBIC)
        pixels += (np.asarray(enlarged, np.float64) - 128) * (4 / columns) ** 0.5
        columns *= 2
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "kind", "options"),
    [
        (4032, 3024, "JPEG", {"quality": 85}),
        (1024, 768, "JPEG", {"quality": 85}),
        (800, 1200, "JPEG", {"quality": 85, "progressive": True}),
        (2400, 1800, "WEBP", {}),
        (1600, 1200, "PNG", {}),
    ],
)
def test_reduced_decoding_gives_nearly_the_pixels_of_the_whole(
    width: int, height: int, kind: str, options: dict[str, object]
) -> None:
    data = encoded(photo(width, height), kind, **options)
    whole = resize_to_square(decode(data), 224).astype(int)
    difference = np.abs(load_pixels(data, 224) - whole)
    # Of 255, where these pixels' own standard deviation is 42.
    assert difference.mean() < 0.6
    assert difference.max() <= 6


@settings(max_examples=60)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    orientation=st.integers(0, 9),
    size=st.integers(8, 96),
)
def test_any_size_mode_and_orientation_becomes_a_square(
    width: int, height: int, mode: str, orientation: int, size: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.new(mode, (width, height)), exif=exif)
    upright = decode(data)
    assert upright.size == ((height, width) if orientation in (5, 6, 7, 8) else (width, height))
    pixels = load_pixels(data, size)
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)


SEEDS = [
    encoded(picture(24, 16), kind, exif=Image.Exif())
    for kind in FORMATS
    if kind not in ("GIF", "BMP")
]
SEEDS += [encoded(picture(24, 16), kind) for kind in ("GIF", "BMP")]
SEEDS += [encoded(picture(24, 16), "JPEG", progressive=True)]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=300)
@given(data=damaged(SEEDS))
def test_damaged_bytes_raise_nothing_but_function_errors(data: bytes) -> None:
    try:
        pixels = load_pixels(data, 16)
    except FunctionError as error:
        assert error.http_status in (400, 413, 415)  # noqa: PT017 - either outcome is right
    else:
        assert pixels.shape == (16, 16, 3)
