"""What the fuzzer begins with: a small photo of every kind, and small ones made to harm."""

from collections.abc import Iterator
from pathlib import Path

from PIL import ImageCms

from function.photo import FORMATS
from tests.hostile_photos import (
    ALL,
    COSTLY,
    ENDLESS,
    POLYGLOTS,
    animated,
    encoded,
    gradient,
    jpeg,
    orientation,
    png,
    png_chunk,
)

MOST_BYTES = 8_000
# What each format can hold, as Pillow writes it.
_MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA", "L"),
}


def write_seeds(folder: Path) -> int:
    """Write each into a file of its own; return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for data in _seeds():
        if len(data) <= MOST_BYTES:
            (folder / f"{count:03}").write_bytes(data)
            count += 1
    return count


def _seeds() -> Iterator[bytes]:
    picture = gradient(40, 24)
    for kind in FORMATS:
        for mode in _MODES[kind]:
            yield encoded(
                picture.convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode),
                kind,
            )
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        for value in range(1, 9):
            yield encoded(picture, kind, exif=orientation(value))
        yield encoded(picture, kind, icc_profile=_profile("sRGB"))
        yield encoded(picture, kind, icc_profile=_profile("LAB"))
    for kind in ("GIF", "WEBP", "PNG", "AVIF"):
        yield animated(kind, 3, 8)
    yield encoded(picture, "MPO", save_all=True, append_images=[picture])
    yield encoded(picture, "WEBP", lossless=True)
    yield encoded(picture, "GIF", transparency=0)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield jpeg((40, 24), subsampling=subsampling, progressive=True, quality=30)
    yield jpeg((40, 24), restart_marker_blocks=1, comment=b"restarts", optimize=True)
    yield png(20, 20, 6, interlaced=True)
    yield png(20, 20, 2, bits=16, before=png_chunk(b"tRNS", bytes(6)))
    yield png(20, 20, 3, bits=4, before=png_chunk(b"tRNS", bytes(9)))
    for name in (*COSTLY, *ENDLESS, *POLYGLOTS):
        if "PNG, 80" in name or "overlapping" in name or name in POLYGLOTS:
            yield ALL[name]()


def _profile(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()
