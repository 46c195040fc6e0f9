"""The JPEGs that need nothing but decoding, straight to an array: most of a shop's photos.

Every question that a photo may raise, `function.photo` answers with Pillow. A plain JPEG raises
none: three components of eight bits, no orientation, no colour profile, an orderly header. It is
decoded by the same library, libjpeg-turbo, to the same pixels, without Pillow's way there, which
costs as much as decoding a small photo.
"""

import re
import struct
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from simplejpeg import decode_jpeg

# How many times smaller than it is a JPEG can be decoded, by decoding less of it.
FACTORS = (8, 4, 2, 1)

_START = b"\xff\xd8"
# A marker, and the length of its segment without it.
_SEGMENT = struct.Struct(">HH")
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xFFC0, 0xFFC1, 0xFFC2
_START_OF_SCAN, _END_OF_IMAGE = 0xFFDA, 0xFFD9
# What else a plain header may hold: tables, restart intervals, comments, and application segments
# but for APP1 (EXIF and XMP: orientation), APP2 (profiles, further pictures), APP13 (Photoshop's).
_TABLES = frozenset({0xFFC4, 0xFFDB, 0xFFDD, 0xFFFE})
_APPLICATIONS = frozenset({0xFFE0, 0xFFEE, 0xFFEF, *range(0xFFE3, 0xFFED)})
# A marker in a JPEG's stream: neither a stuffed zero, nor a fill byte, nor a restart.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Of JFIF and Adobe segments that hold all that they should.
_LEAST_APPLICATION_BYTES = 14
# Below, another of the decoder's scales may round to the same size.
_LEAST_PIXELS = 16
# More than a shop's picture, far less than what the largest upload may unpack to.
_SCRATCH_BYTES = 4 << 20
# Of a header: tables, a comment, a few of applications.
_MOST_SEGMENTS = 200


class PlainJpeg(NamedTuple):
    """A JPEG that its pixels tell all of."""

    data: bytes
    width: int
    height: int

    def size(self, factor: int) -> tuple[int, int]:
        """Return width and height of what `decode` gives."""
        return -(-self.width // factor), -(-self.height // factor)

    def decode(
        self, factor: int, layout: Literal["RGB", "RGBX"] = "RGB"
    ) -> NDArray[np.uint8] | None:
        """Decode at one of `FACTORS`; other threads go on meanwhile.

        Returns:
            uint8 [height, width, 3], or 4 with a last channel that says nothing. It may lie in
            memory that the thread's next call writes to: copy what you keep. None: the file is
            damaged.
        """
        width, height = self.size(factor)
        fits = width * height * len(layout) <= _SCRATCH_BYTES
        try:
            pixels: NDArray[np.uint8] = decode_jpeg(
                self.data,
                layout,
                min_height=height,
                min_width=width,
                buffer=_scratch.memory if fits else None,
            )
        except ValueError:
            return None
        return pixels


def read_plain_jpeg(data: bytes, *, max_scans: int) -> PlainJpeg | None:
    """Read the header of a plain JPEG; None: it is something else, or odd in any way.

    Args:
        data: the file.
        max_scans: passes over the picture that it may make.
    """
    if not data.startswith(_START):
        return None
    position, frame, kind = 2, b"", 0
    try:
        for _ in range(_MOST_SEGMENTS):
            marker, length = _SEGMENT.unpack_from(data, position)
            if marker in _TABLES:
                pass
            elif marker in (_BASELINE, _EXTENDED, _PROGRESSIVE) and not frame:
                frame, kind = data[position + 4 : position + 2 + length], marker
            elif marker == _START_OF_SCAN:
                components = data[position + 4]
                break
            elif marker not in _APPLICATIONS or length < _LEAST_APPLICATION_BYTES:
                return None
            position += 2 + length
        else:
            return None
    except (struct.error, IndexError):
        return None
    # Precision, height, width, number of components, and three bytes for each.
    if len(frame) != 15 or frame[0] != 8 or frame[5] != 3:
        return None
    height, width = frame[1] << 8 | frame[2], frame[3] << 8 | frame[4]
    if not height or not width or max(height, width) < _LEAST_PIXELS:
        return None
    progressive = kind == _PROGRESSIVE
    # Without all components in its first scan, a sequential JPEG too is of several.
    if not progressive and components != 3:
        return None
    if progressive and has_more_scans(data, max_scans):
        return None
    return PlainJpeg(data, width, height)


def scans(data: bytes) -> Iterator[int]:
    """Yield the number of components of each scan of a JPEG, without decoding any."""
    position = 2
    while found := _MARKER.search(data, position):
        position = found.start()
        marker, length = _SEGMENT.unpack(data[position : position + 4].ljust(4, b"\0"))
        if marker == _END_OF_IMAGE:
            return
        if marker == _START_OF_SCAN:
            yield int.from_bytes(data[position + 4 : position + 5])
        position += 2 + max(length, 2)


def has_more_scans(data: bytes, limit: int) -> bool:
    """Return whether a JPEG has more scans than the limit."""
    return next(islice(scans(data), limit, None), None) is not None


class _Scratch(threading.local):
    """Memory of each thread that decodes: to get it anew costs up to a tenth of a photo."""

    def __init__(self) -> None:
        self.memory = np.empty(_SCRATCH_BYTES, np.uint8)


_scratch = _Scratch()
