"""Untrusted bytes to upright RGB pixels, at the model's size.

The header is checked before any pixel is decoded, so a small file that unpacks to hundreds of
megapixels costs nothing. Colour is sRGB on white, orientation is applied, all other metadata is
dropped. Evaluation, catalogue embedding and queries share `resize_to_square`.
"""

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from .errors import BadImage, FunctionError, PayloadTooLarge, UnsupportedImage
from .jpeg import FACTORS, PlainJpeg, has_more_scans, read_plain_jpeg, scans

# The formats that are read, with the bytes that each begins with. Named through their plugins:
# these are then loaded, and the first photo does not wait for Pillow to load all that it has.
_SIGNATURES: dict[str, re.Pattern[bytes]] = {
    JpegImagePlugin.JpegImageFile.format: re.compile(rb"\xff\xd8\xff"),
    PngImagePlugin.PngImageFile.format: re.compile(rb"\x89PNG\r\n\x1a\n"),
    WebPImagePlugin.WebPImageFile.format: re.compile(rb"RIFF....WEBP", re.DOTALL),
    GifImagePlugin.GifImageFile.format: re.compile(rb"GIF8[79]a"),
    BmpImagePlugin.BmpImageFile.format: re.compile(rb"BM....\x00\x00\x00\x00", re.DOTALL),
    AvifImagePlugin.AvifImageFile.format: re.compile(rb"....ftypavi[fs]", re.DOTALL),
}
FORMATS = tuple(_SIGNATURES)

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

_MAX_PROFILE_BYTES = 4_000_000

# Pillow warns above 89 megapixels and refuses above 179; the limit below is lower than both.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class PhotoLimits:
    """What an upload may cost."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    # A JPEG of 20 MB can hold 100,000 scans and more, each a pass over the whole picture.
    max_scans: int = 100


DEFAULT_LIMITS = PhotoLimits()


def load_pixels(data: bytes, size: int, limits: PhotoLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Decode a photo and bring it to the model's square.

    Returns:
        uint8 [size, size, 3], sRGB.

    Raises:
        BadImage, UnsupportedImage, PayloadTooLarge: as `decode`.
    """
    return resize_to_square(decode(data, limits=limits, reduce_to=size), size)


def resize_to_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Scale the whole photo to a square, antialiased; what is not square is stretched.

    Nothing is cut away: products reach to the edge of a shop's pictures. With ImageNet's features
    that finds more of a clothes shop's products than any crop of the centre, or white borders.

    Returns:
        uint8 [size, size, 3].
    """
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0))


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
    _check_bytes(data, limits)
    if (image := _decode_plain_jpeg(data, limits, reduce_to)) is not None:
        return image
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        _check_pixels(image, data, limits)
        if reduce_to is not None:
            image.draft(None, (reduce_to, reduce_to))
        image.load()
        return _upright(_plain(image, reduce_to), _orientation(image))
    except FunctionError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise _too_many_pixels(_first_number(str(bomb)), limits) from None
    except Exception:  # noqa: BLE001 - decoders of damaged files raise nearly everything
        raise BadImage(
            "The image is damaged or incomplete: it starts like a photo but cannot be decoded. "
            "Open and save it again, or send another."
        ) from None


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


def _check_bytes(data: bytes, limits: PhotoLimits) -> None:
    if not data:
        raise BadImage("The image is empty: send the bytes of a photo.", reason="IMAGE_EMPTY")
    check_size(len(data), limits)
    if not any(signature.match(data) for signature in _SIGNATURES.values()):
        raise UnsupportedImage(
            f"The upload is not an image of a type that is read here: {', '.join(FORMATS)}.",
            metadata={"supported": ",".join(FORMATS)},
        )


def _check_pixels(image: Image.Image, data: bytes, limits: PhotoLimits) -> None:
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise _too_many_pixels(pixels, limits)
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


def _decode_plain_jpeg(
    data: bytes, limits: PhotoLimits, reduce_to: int | None
) -> Image.Image | None:
    if (jpeg := plain_jpeg(data, limits)) is None:
        return None
    side = min(jpeg.width, jpeg.height)
    reach = side // reduce_to if reduce_to else 1
    image = as_image(jpeg, next((factor for factor in FACTORS if factor <= reach), 1))
    return image if image is None else _reduced(image, reduce_to)


def _too_many_pixels(pixels: int, limits: PhotoLimits) -> BadImage:
    return BadImage(
        f"The image has {pixels / 1e6:.4g} megapixels; the limit is {limits.max_pixels / 1e6:.4g}.",
        reason="IMAGE_TOO_MANY_PIXELS",
        metadata={"limit": str(limits.max_pixels)},
    )


def _first_number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


def _plain(image: Image.Image, reduce_to: int | None) -> Image.Image:
    """RGB in sRGB on white, reduced first where that saves work."""
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    elif image.mode.startswith("I"):
        # Pillow would clip 16 bits to 255; the upper eight are the picture.
        grey = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    elif image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    image = _reduced(image, reduce_to)
    if isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES:
        image = _to_srgb(image, profile)
    plain = image.convert("RGB")
    plain.info.clear()
    return plain


def _reduced(image: Image.Image, reduce_to: int | None) -> Image.Image:
    if reduce_to is not None and (factor := min(image.size) // (2 * reduce_to)) > 1:
        return image.reduce(factor)
    return image


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        transform = _transform(profile, image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A profile that does not fit its picture says nothing; the numbers stay as they are.
        return image


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From an embedded profile to sRGB; None where it is sRGB already."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    if "sRGB" in ImageCms.getProfileDescription(source):
        return None
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - damaged metadata must not cost the photo
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)
