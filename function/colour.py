"""What a decoded photo's numbers mean, brought to RGB in sRGB on white."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_MAX_PROFILE_BYTES = 4_000_000


def on_white(image: Image.Image) -> Image.Image:
    """Return RGB, CMYK or grey of eight bits; what is transparent is white."""
    if image.has_transparency_data:
        # Copies of a large photo are what it costs most: these two modes need none.
        if image.mode not in ("LA", "RGBA"):
            image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 255; the upper eight are the picture.
        grey = np.asarray(image) >> 8
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    return image if image.mode in ("RGB", "CMYK", "L") else image.convert("RGB")


def in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Return what `on_white` gave as RGB in sRGB, without metadata.

    Args:
        image: its numbers are those of the file.
        profile: the file's ICC profile; what is none says nothing.
    """
    if isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES:
        image = _to_srgb(image, profile)
    plain = image.convert("RGB")
    plain.info.clear()
    return plain


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
