"""Photos that nobody takes: small files that cost much, sizes that lie, two formats in one.

Each is built by code, as its name says, and is at most as large as an upload may be.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from function.photo import DEFAULT_LIMITS

# An upload's, with what a format needs around the hostile part.
MOST_BYTES = DEFAULT_LIMITS.max_bytes - 100_000
# A square of nearly as many pixels as a photo may have.
SIDE = 7000


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file of this format."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(width: int = 96, height: int = 64) -> Image.Image:
    """A picture that is no flat colour, and costs little to make."""
    across = Image.linear_gradient("L").resize((width, height))
    down = Image.linear_gradient("L").rotate(90).resize((width, height))
    return Image.merge("RGB", (across, down, across))


# -- PNG

PNG_START = b"\x89PNG\r\n\x1a\n"


def png_chunk(name: bytes, data: bytes = b"") -> bytes:
    """A chunk, with its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int,
    height: int,
    kind: int,
    *,
    bits: int = 8,
    interlaced: bool = False,
    before: bytes = b"",
) -> bytes:
    """A PNG whose pixels are all 0.

    Args:
        width, height: in pixels.
        kind: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
        bits: of a sample.
        interlaced: whether it comes in Adam7's seven passes.
        before: chunks between the header and the pixels.
    """
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    # Seven passes have more rows than one, each with its filter's byte.
    unpacked = height * (1 + (width * samples * bits + 7) // 8) + interlaced * 16 * height
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    packed = [packer.compress(block) for _ in range(unpacked >> 20)]
    packed += [packer.compress(bytes(unpacked & (1 << 20) - 1)), packer.flush()]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    palette = png_chunk(b"PLTE", bytes(range(48)) * 16) if kind == 3 else b""
    return b"".join(
        (
            PNG_START,
            png_chunk(b"IHDR", header),
            palette,
            before,
            png_chunk(b"IDAT", b"".join(packed)),
            png_chunk(b"IEND"),
        )
    )


def small_png(before: bytes) -> bytes:
    return png(16, 16, 2, before=before)


def filled(piece: bytes) -> bytes:
    """As many of a piece as an upload may hold."""
    return piece * (MOST_BYTES // len(piece))


@cache
def zeros_packed(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def exif_of_overlapping_values(size: int) -> bytes:
    """TIFF whose every entry has all of the file for its value."""
    entries = min(size // 12 - 2, 65_535)
    directory = b"".join(struct.pack("<HHII", tag, 7, size - 8, 8) for tag in range(entries))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + directory).ljust(size, b"\0")


def orientation(value: int) -> bytes:
    """EXIF that says nothing else."""
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", 0x0112, 3, 1, value, 0, 0)


# -- JPEG


def jpeg(size: tuple[int, int] = (96, 64), **options: object) -> bytes:
    return encoded(gradient(*size), "JPEG", **options)


def segment(marker: int, data: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_with(segments: bytes) -> bytes:
    plain = jpeg()
    return plain[:2] + segments + plain[2:]


def jpeg_of_scans(count: int, side: int) -> bytes:
    """A progressive JPEG that goes over all of its blocks so many times."""
    data = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True, subsampling=0)
    end = data.rindex(b"\xff\xd9")
    # The first component's highest frequencies, refined: one run of empty blocks after the other.
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x3f\x3f\x00"
    return data[:end] + (scan + b"\0") * count + data[end:]


def jpeg_of_size(width: int, height: int) -> bytes:
    """It has the pixels of another size."""
    data = jpeg()
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


# -- GIF


def gif(blocks: Iterable[bytes], screen: tuple[int, int] = (16, 16)) -> bytes:
    """Blocks between the header and one picture of 16 by 16."""
    whole = encoded(Image.new("P", (16, 16)), "GIF")
    picture = whole.index(b"\x2c")
    head = whole[:6] + struct.pack("<HH", *screen) + whole[10:picture]
    return head + b"".join(blocks) + whole[picture:]


def gif_of_frame(width: int, height: int) -> bytes:
    """The first frame is larger than the screen, and its pixels are missing."""
    whole = encoded(Image.new("P", (16, 16)), "GIF")
    place = whole.index(b"\x2c")
    return whole[: place + 5] + struct.pack("<HH", width, height) + whole[place + 9 :]


def animated(kind: str, frames: int, side: int = 64) -> bytes:
    """So many frames, each different."""
    random = np.random.default_rng(0)
    pictures = [
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(frames)
    ]
    return encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=20)


# -- BMP


def bmp(width: int, height: int, *, bits: int, compression: int = 0, data: bytes = b"") -> bytes:
    """What its header says, with these bytes of pixels."""
    colours = 4 << bits if bits <= 8 else 0
    offset = 54 + colours
    head = struct.pack("<2sIII", b"BM", offset + len(data), 0, offset)
    head += struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 0, 0
    )
    return head + bytes(range(256))[:colours].ljust(colours, b"\x07") + data


# -- RIFF, boxes


def webp_with(name: bytes, data: bytes) -> bytes:
    """A WebP with a further chunk behind its picture."""
    plain = encoded(gradient(), "WEBP", exif=orientation(1))
    chunk = name + struct.pack("<I", len(data)) + data + bytes(len(data) & 1)
    return b"RIFF" + struct.pack("<I", len(plain) - 8 + len(chunk)) + plain[8:] + chunk


def webp_of_canvas(width: int, height: int) -> bytes:
    """Its picture is smaller than it says."""
    plain = bytearray(animated("WEBP", 2, 16))
    plain[24:27], plain[27:30] = (struct.pack("<I", side - 1)[:3] for side in (width, height))
    return bytes(plain)


def avif_of_size(width: int, height: int, side: int) -> bytes:
    """It says one size, and its pixels have another."""
    data = encoded(Image.new("RGB", (side, side)), "AVIF", speed=10)
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", width, height) + data[place + 8 :]


# -- two formats in one


def zip_of_a_page() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("index.html", "<script>alert(1)</script>")
    return file.getvalue()


SCRIPT = b"<html><script>alert(document.cookie)</script></html>"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj"


def _noise(side: int) -> Image.Image:
    coarse = np.random.default_rng(0).integers(
        0, 256, (side // 16 + 1, side // 16 + 1, 3), np.uint8
    )
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST)


# What cannot be told from a photo by its header: decoded, at the price that the limits allow.
LARGE: dict[str, Callable[[], bytes]] = {
    "JPEG, 49 megapixels": lambda: encoded(_noise(SIDE), "JPEG", quality=30),
    "JPEG, 49 megapixels, progressive": lambda: encoded(
        _noise(SIDE), "JPEG", quality=30, progressive=True, subsampling=0
    ),
    "JPEG, 49 megapixels, CMYK": lambda: encoded(_noise(SIDE).convert("CMYK"), "JPEG", quality=30),
    "JPEG, 49 megapixels, 95 scans": lambda: jpeg_of_scans(85, SIDE),
    "JPEG, 49 megapixels, of a small one's bytes": lambda: jpeg_of_size(SIDE, SIDE),
    "PNG, 49 megapixels, grey, 1 bit": lambda: png(SIDE, SIDE, 0, bits=1),
    "PNG, 49 megapixels, grey, 16 bits": lambda: png(SIDE, SIDE, 0, bits=16),
    "PNG, 49 megapixels, RGB": lambda: png(SIDE, SIDE, 2),
    "PNG, 49 megapixels, RGB, 16 bits": lambda: png(SIDE, SIDE, 2, bits=16),
    "PNG, 49 megapixels, RGB, one transparent colour": lambda: png(
        SIDE, SIDE, 2, before=png_chunk(b"tRNS", bytes(6))
    ),
    "PNG, 49 megapixels, palette": lambda: png(SIDE, SIDE, 3),
    "PNG, 49 megapixels, palette, transparent": lambda: png(
        SIDE, SIDE, 3, before=png_chunk(b"tRNS", bytes(16))
    ),
    "PNG, 49 megapixels, grey and alpha": lambda: png(SIDE, SIDE, 4),
    "PNG, 49 megapixels, RGBA": lambda: png(SIDE, SIDE, 6),
    "PNG, 49 megapixels, RGBA, 16 bits": lambda: png(SIDE, SIDE, 6, bits=16),
    "PNG, 49 megapixels, RGBA, interlaced": lambda: png(SIDE, SIDE, 6, interlaced=True),
    "PNG, 49 megapixels, as tall as may be": lambda: png(762, 65_535, 6),
    "WebP, 49 megapixels": lambda: encoded(_noise(SIDE), "WEBP", method=0, quality=30),
    "WebP, 49 megapixels, lossless, alpha": lambda: encoded(
        _noise(SIDE).convert("RGBA"), "WEBP", method=0, lossless=True
    ),
    "GIF, 49 megapixels": lambda: encoded(Image.new("P", (SIDE, SIDE)), "GIF"),
    "GIF, 49 megapixels, transparent": lambda: encoded(
        Image.new("P", (SIDE, SIDE)), "GIF", transparency=0
    ),
    "AVIF, 49 megapixels": lambda: encoded(_noise(SIDE), "AVIF", speed=10, quality=30),
    "AVIF, 100 pixels that are 64 million": lambda: avif_of_size(10, 10, 8000),
    "JPEG, many segments of Photoshop's": lambda: jpeg_with(
        filled(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0" * 5_000))
    ),
    "BMP, 6 megapixels, RGBA": lambda: bmp(
        2500, 1900, bits=32, compression=0, data=bytes(4 * 2500 * 1900)
    ),
    "BMP, 49 megapixels, 1 bit": lambda: bmp(SIDE, SIDE, bits=1, data=bytes(SIDE * 876)),
}

# Made to take time or memory beside their pixels: as large as an upload may be, but soon read.
COSTLY: dict[str, Callable[[], bytes]] = {
    "PNG, tEXt of 19 megabytes": lambda: small_png(png_chunk(b"tEXt", b"Comment\0" + filled(b"x"))),
    "PNG, eXIf of overlapping values": lambda: small_png(
        png_chunk(b"eXIf", exif_of_overlapping_values(MOST_BYTES))
    ),
    "PNG, IDAT that unpacks to 20 gigabytes": lambda: small_png(
        png_chunk(b"IDAT", filled(zeros_packed(1_000_000)))
    ),
    "JPEG, 300 segments of EXIF": lambda: jpeg_with(
        filled(segment(0xE1, b"Exif\0\0" + exif_of_overlapping_values(65_500)))
    ),
    "JPEG, MPO of overlapping values": lambda: jpeg_with(
        segment(0xE2, b"MPF\0" + exif_of_overlapping_values(65_500))
    ),
    "JPEG, huge XMP": lambda: jpeg_with(
        filled(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"tiff:Orientation=" * 3_000))
    ),
    "GIF, 500 frames": lambda: animated("GIF", 500, 8),
    "WebP, 2,000 frames": lambda: animated("WEBP", 2_000, 8),
    "PNG, 2,000 frames": lambda: animated("PNG", 2_000, 8),
    "AVIF, 100 frames": lambda: animated("AVIF", 100, 16),
    "WebP, EXIF of overlapping values": lambda: webp_with(
        b"EXIF", exif_of_overlapping_values(MOST_BYTES)
    ),
    "WebP, millions of unknown chunks": lambda: webp_with(
        b"XMP ", filled(b"quit" + struct.pack("<I", 0))
    ),
    "AVIF, 64 million pixels that are few": lambda: avif_of_size(6000, 6000, 16),
}

# That would go on for seconds: given up.
ENDLESS: dict[str, Callable[[], bytes]] = {
    "PNG, zTXt that unpacks to 100 megabytes": lambda: small_png(
        png_chunk(b"zTXt", b"Comment\0\0" + zeros_packed(100_000_000))
    ),
    "PNG, 80 zTXt that unpack to a megabyte each": lambda: small_png(
        png_chunk(b"zTXt", b"Comment\0\0" + zeros_packed(1_000_000)) * 80
    ),
    "PNG, iTXt that unpacks to 100 megabytes": lambda: small_png(
        png_chunk(b"iTXt", b"Comment\0\x01\0\0\0" + zeros_packed(100_000_000))
    ),
    "PNG, iCCP that unpacks to 100 megabytes": lambda: small_png(
        png_chunk(b"iCCP", b"profile\0\0" + zeros_packed(100_000_000))
    ),
    "PNG, a million empty chunks": lambda: small_png(filled(png_chunk(b"quIt"))),
    "PNG, a million empty tEXt": lambda: small_png(filled(png_chunk(b"tEXt", b"a\0"))),
    "PNG, a million empty IDAT": lambda: small_png(filled(png_chunk(b"IDAT"))),
    "JPEG, millions of empty APP0": lambda: jpeg_with(filled(segment(0xE0))),
    "JPEG, millions of empty APP5": lambda: jpeg_with(filled(segment(0xE5))),
    "JPEG, millions of empty comments": lambda: jpeg_with(filled(segment(0xFE))),
    "JPEG, a million small plain segments": lambda: jpeg_with(filled(segment(0xE5, bytes(12)))),
    "JPEG, millions of fill bytes": lambda: jpeg_with(filled(b"\xff")),
    "JPEG, millions of empty profiles": lambda: jpeg_with(
        filled(segment(0xE2, b"ICC_PROFILE\0\x01\x01"))
    ),
    "JPEG, millions of tables": lambda: jpeg_with(filled(segment(0xDD, b"\0\0"))),
    "JPEG, millions of markers in the scan": lambda: (
        jpeg(progressive=True)[:-2] + filled(b"\xff\x01")
    ),
    "GIF, millions of empty extensions": lambda: gif([filled(b"\x21\xf0\0")]),
    "GIF, one comment of 19 megabytes": lambda: gif([b"\x21\xfe", filled(b"\x01x"), b"\0"]),
    "GIF, millions of comments": lambda: gif([filled(b"\x21\xfe\x01x\0")]),
    "GIF, millions of bytes that are no block": lambda: gif([filled(b"\0")]),
    "BMP, palette of four billion colours": lambda: (
        bmp(16, 16, bits=8)[:46] + struct.pack("<II", 0xFFFFFFFF, 0) + bytes(2000)
    ),
}

# Of a kind that is not read.
UNSUPPORTED: dict[str, Callable[[], bytes]] = {
    "JPEG, millions of bytes that are no marker": lambda: jpeg_with(filled(b"\0")),
    "BMP, run lengths that end at once": lambda: bmp(
        SIDE, SIDE, bits=8, compression=1, data=b"\x01\x07\0\0" * SIDE
    ),
    "BMP, run lengths of 4 bits": lambda: bmp(
        SIDE, SIDE, bits=4, compression=2, data=b"\xff\x12" * (SIDE * SIDE // 255)
    ),
}

# Whose size is over the limit, wherever it is told.
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "PNG, 49 megapixels in a row": lambda: png(49_000_000, 1, 2),
    "PNG, 49 megapixels in a column": lambda: png(1, 49_000_000, 2),
    "PNG, 100 megapixels": lambda: png(10_000, 10_000, 2),
    "JPEG, 65,500 by 65,500": lambda: jpeg_of_size(65_500, 65_500),
    "GIF, 65,535 by 65,535": lambda: gif([], (65_535, 65_535)),
    "GIF, a frame larger than its screen": lambda: gif_of_frame(65_535, 65_535),
    "WebP, 16,383 by 16,383": lambda: webp_of_canvas(16_383, 16_383),
    "AVIF, 16,000 by 16,000": lambda: avif_of_size(16_000, 16_000, 16),
    "BMP, four billion by a billion": lambda: bmp(2**31 - 1, 2**30, bits=24),
}

# Two things at once: the photo in it is found, and nothing else of it is looked at.
POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "JPEG and ZIP": lambda: jpeg() + zip_of_a_page(),
    "JPEG and HTML": lambda: jpeg_with(segment(0xFE, SCRIPT)),
    "JPEG and PDF": lambda: jpeg_with(segment(0xFE, PDF)),
    "GIF and JavaScript": lambda: b"GIF89a" + encoded(gradient(), "GIF")[6:] + b"*/=1;alert(1)",
    "PNG and HTML": lambda: small_png(png_chunk(b"tEXt", b"Comment\0" + SCRIPT)) + SCRIPT,
    "BMP and JavaScript": lambda: encoded(gradient(), "BMP") + b"*/=1;alert(1)",
}

# What comes of each: a reason of refusal, or "" where it is read.
GROUPS = (
    (LARGE, ""),
    (COSTLY, ""),
    (POLYGLOTS, ""),
    (ENDLESS, "IMAGE_UNREADABLE"),
    (UNSUPPORTED, "IMAGE_TYPE_UNSUPPORTED"),
    (TOO_LARGE, "IMAGE_TOO_MANY_PIXELS"),
)
ALL = {name: build for group, _ in GROUPS for name, build in group.items()}
OUTCOMES = {name: outcome for group, outcome in GROUPS for name in group}
