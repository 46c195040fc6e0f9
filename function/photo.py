"""Untrusted bytes to upright RGB pixels, at the model's size.

The header is checked before any pixel is decoded, so a small file that unpacks to hundreds of
megapixels costs nothing. Colour is sRGB on white, orientation is applied, all other metadata is
dropped. Evaluation, catalogue embedding and queries share `resize_to_square`. Where only a region
is wanted, it is cut out before anything else is done to the photo, and decides how much smaller a
JPEG may be decoded.
"""

import re
import warnings
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from .colour import in_srgb, on_white
from .errors import BadImage, FunctionError, PayloadTooLarge, UnsupportedImage
from .jpeg import FACTORS, PlainJpeg, has_more_scans, read_plain_jpeg, scans
from .pieces import Pieces
from .region import Box, Region, stored_box, upright_box

# The formats that are read, with the bytes that each begins with. Named through their plugins:
# these are then loaded, and the first photo does not wait for Pillow to load all that it has.
_SIGNATURES: dict[str, re.Pattern[bytes]] = {
    JpegImagePlugin.JpegImageFile.format: re.compile(rb"\xff\xd8\xff"),
    PngImagePlugin.PngImageFile.format: re.compile(rb"\x89PNG\r\n\x1a\n"),
    WebPImagePlugin.WebPImageFile.format: re.compile(rb"RIFF....WEBP", re.DOTALL),
    GifImagePlugin.GifImageFile.format: re.compile(rb"GIF8[79]a"),
    # Plain pixels, or with masks: run lengths would be undone in Python, a pixel at a time.
    BmpImagePlugin.BmpImageFile.format: re.compile(
        rb"BM.{4}\0{4}.{4}(?:\x0c\0{3}|.{16}[\0\x03]\0{3})", re.DOTALL
    ),
    AvifImagePlugin.AvifImageFile.format: re.compile(rb"....ftypavi[fs]", re.DOTALL),
}
FORMATS = tuple(_SIGNATURES)
# What iPhones save. No reader of it is both small and looked after: pi-heif was given up in 2026.
_HEIC = re.compile(rb"....ftyphe[iv][cmsx]", re.DOTALL)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow warns above 89 megapixels and refuses above 179; the limit below is lower than both.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class PhotoLimits:
    """What an upload may cost."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    # As many as a JPEG or a GIF can have; more rows would take more memory than their pixels do.
    max_side: int = 65_535
    # A JPEG of 20 MB can hold 100,000 scans and more, each a pass over the whole picture.
    max_scans: int = 100
    # What decoding may take, held where it has a process of its own. A WebP of so many pixels takes
    # 800 MB, the most of all; two at once leave enough of an instance of 2 GiB to the rest.
    max_memory_bytes: int = 850_000_000


DEFAULT_LIMITS = PhotoLimits()


class _Part(NamedTuple):
    """What was decoded.

    Attributes:
        image: of the photo, that which holds what is wanted.
        box: what is wanted, in pixels of the image; None: all of it.
    """

    image: Image.Image
    box: Box | None


def load_pixels(
    data: bytes, size: int, limits: PhotoLimits = DEFAULT_LIMITS, region: Region | None = None
) -> NDArray[np.uint8]:
    """Decode a photo, or a region of it, and bring it to the model's square.

    Returns:
        uint8 [size, size, 3], sRGB.

    Raises:
        BadImage, UnsupportedImage, PayloadTooLarge: as `decode`.
        BadRequest: the region lies outside of the photo.
    """
    image, box = _decode(data, limits, size, region)
    return resize_to_square(image, size, box)


def resize_to_square(image: Image.Image, size: int, box: Box | None = None) -> NDArray[np.uint8]:
    """Scale the whole photo, or a box of it, to a square, antialiased; it is stretched to fit.

    Nothing is cut away: products reach to the edge of a shop's pictures. With ImageNet's features
    that finds more of a clothes shop's products than any crop of the centre, or white borders.

    Returns:
        uint8 [size, size, 3].
    """
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box, reducing_gap=2.0))


def decode(
    data: bytes, *, limits: PhotoLimits = DEFAULT_LIMITS, reduce_to: int | None = None
) -> Image.Image:
    """Decode a photo: upright, RGB in sRGB, without metadata; the first frame of an animation.

    Args:
        data: the file's bytes, of one of `FORMATS`.
        limits: what it may cost.
        reduce_to: pixels. The photo may come back smaller, its shorter side no less than this;
            that makes a JPEG of 12 megapixels several times faster to decode.

    Raises:
        UnsupportedImage: the bytes are no image type that is read here.
        BadImage: empty, damaged, or with more pixels than the limit.
        PayloadTooLarge: more bytes than the limit.
    """
    return _decode(data, limits, reduce_to, None).image


def plain_jpeg(data: bytes, limits: PhotoLimits = DEFAULT_LIMITS) -> PlainJpeg | None:
    """Return a JPEG that needs nothing but decoding; None: anything else, or beyond the limits.

    `decode` gives the same pixels, and knows what is wrong with a photo that has none.
    """
    if len(data) > limits.max_bytes:
        return None
    jpeg = read_plain_jpeg(data, max_scans=limits.max_scans)
    return None if jpeg is None or jpeg.width * jpeg.height > limits.max_pixels else jpeg


def as_image(jpeg: PlainJpeg, factor: int) -> Image.Image | None:
    """Decode a plain JPEG so many times smaller, one of `FACTORS`; None: it is damaged."""
    pixels = jpeg.decode(factor, "RGBX")
    if pixels is None:
        return None
    # Pillow keeps RGB as four bytes, and takes these as they are.
    return Image.frombytes("RGB", jpeg.size(factor), pixels, "raw", "RGBX")


def check_size(size_bytes: int, limits: PhotoLimits = DEFAULT_LIMITS) -> None:
    """Refuse a photo by its encoded size alone, as before it is fetched.

    Raises:
        PayloadTooLarge: more bytes than the limit.
    """
    if size_bytes > limits.max_bytes:
        raise PayloadTooLarge(
            f"The image has {size_bytes:,} bytes; the limit is {limits.max_bytes:,}.",
            reason="IMAGE_TOO_MANY_BYTES",
            metadata={"limit": str(limits.max_bytes)},
        )


def _decode(
    data: bytes, limits: PhotoLimits, reduce_to: int | None, region: Region | None
) -> _Part:
    _check_bytes(data, limits)
    if (jpeg := plain_jpeg(data, limits)) is not None:
        wanted = _wanted(region, 1, jpeg.size(1))
        factor = _factor(wanted, reduce_to)
        if (image := as_image(jpeg, factor)) is not None:
            return _reduced(_cut(image, wanted, factor, jpeg.size(1)), reduce_to)
    try:
        image = Image.open(Pieces(data), formats=FORMATS)
        _check_pixels(image, data, limits)
        size = image.size
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            # Its orientation may stand behind its pixels.
            image.load()
        orientation = _orientation(image)
        wanted = _wanted(region, orientation, size)
        factor = _factor(wanted, reduce_to)
        if image.draft(None, (size[0] // factor, size[1] // factor)) is None:
            factor = 1
        image.load()
        profile = image.info.get("icc_profile")
        image, box = _cut(image, wanted, factor, size)
        # Fewer numbers are sooner turned into sRGB.
        image, box = _reduced(_Part(on_white(image), box), reduce_to)
        image = in_srgb(image, profile)
        if box is not None:
            box = upright_box(box, orientation, image.size)
        return _Part(_upright(image, orientation), box)
    except FunctionError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise _too_many_pixels(_first_number(str(bomb)), limits) from None
    except MemoryError:
        raise BadImage(
            "The image takes more memory to decode than it may. Shrink it, or save it as a JPEG."
        ) from None
    except Exception:  # noqa: BLE001 - decoders of damaged files raise nearly everything
        raise BadImage(
            "The image is damaged or incomplete: it starts like a photo but cannot be decoded. "
            "Open and save it again, or send another."
        ) from None


def _check_bytes(data: bytes, limits: PhotoLimits) -> None:
    if not data:
        raise BadImage("The image is empty: send the bytes of a photo.", reason="IMAGE_EMPTY")
    check_size(len(data), limits)
    if not any(signature.match(data) for signature in _SIGNATURES.values()):
        what = "HEIC, and " if _HEIC.match(data) else ""
        raise UnsupportedImage(
            f"The upload is {what}not an image of a type that is read here: {', '.join(FORMATS)}.",
            metadata={"supported": ",".join(FORMATS)},
        )


def _check_pixels(image: Image.Image, data: bytes, limits: PhotoLimits) -> None:
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise _too_many_pixels(pixels, limits)
    if (side := max(image.size)) > limits.max_side:
        raise BadImage(
            f"The image is {side:,} pixels long; the limit is {limits.max_side:,}.",
            reason="IMAGE_TOO_MANY_PIXELS",
            metadata={"limit": str(limits.max_side)},
        )
    if _has_several_scans(image, data) and has_more_scans(data, limits.max_scans):
        raise BadImage(
            f"The JPEG has more than {limits.max_scans} scans. Save it again as a baseline JPEG.",
            reason="IMAGE_TOO_MANY_SCANS",
            metadata={"limit": str(limits.max_scans)},
        )


def _has_several_scans(image: Image.Image, data: bytes) -> bool:
    """Whether the decoder will make a pass for each scan there is: also where a sequential JPEG's
    first one lacks components."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return False
    return bool(image.info.get("progressive")) or next(scans(data), 0) < image.layers


def _wanted(region: Region | None, orientation: int, size: tuple[int, int]) -> Box:
    """What of a stored photo is wanted, in whole pixels."""
    return (0, 0, *size) if region is None else stored_box(region, orientation, size)


def _factor(wanted: Box, reduce_to: int | None) -> int:
    """How many times smaller a JPEG may be decoded."""
    reach = _shorter(wanted) // reduce_to if reduce_to else 1
    return next((factor for factor in FACTORS if factor <= reach), 1)


def _shorter(box: Box) -> float:
    left, top, right, bottom = box
    return min(right - left, bottom - top)


def _cut(image: Image.Image, wanted: Box, factor: int, size: tuple[int, int]) -> _Part:
    """Cut out what is wanted of a photo of this size, decoded so many times smaller.

    Where its sides are no multiples of that, its last pixels show less of it than the others do.
    """
    if wanted == (0, 0, *size) and not any(side % factor for side in size):
        return _Part(image, None)
    left, top, right, bottom = (edge / factor for edge in wanted)
    x, y = floor(left), floor(top)
    pixels = (x, y, ceil(right), ceil(bottom))
    window = image if pixels == (0, 0, *image.size) else image.crop(pixels)
    return _Part(window, (left - x, top - y, right - x, bottom - y))


def _too_many_pixels(pixels: int, limits: PhotoLimits) -> BadImage:
    return BadImage(
        f"The image has {pixels / 1e6:.4g} megapixels; the limit is {limits.max_pixels / 1e6:.4g}.",
        reason="IMAGE_TOO_MANY_PIXELS",
        metadata={"limit": str(limits.max_pixels)},
    )


def _first_number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


def _reduced(part: _Part, reduce_to: int | None) -> _Part:
    image, box = part
    side = min(image.size) if box is None else _shorter(box)
    if reduce_to is None or (factor := int(side // (2 * reduce_to))) <= 1:
        return part
    left, top, right, bottom = (edge / factor for edge in box or (0, 0, *image.size))
    smaller = image.reduce(factor)
    # As of `_cut`: the last pixels may show less.
    is_all = (left, top, right, bottom) == (0, 0, *smaller.size)
    return _Part(smaller, None if is_all else (left, top, right, bottom))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - damaged metadata must not cost the photo
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)
