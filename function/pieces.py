"""A file in memory that may not be read in endless small pieces.

Pillow's readers go over segments, chunks and blocks one by one, in Python: 20 MB of empty ones
would keep a processor busy for ten seconds before the first pixel. Each costs at least one read.
"""

from io import BytesIO

from .errors import BadImage

# What a camera writes has a few dozen pieces before its pixels; PNG's pixels come in chunks of some
# kilobytes, of three reads each.
_FREE_READS = 4_000
_LEAST_BYTES_OF_A_READ = 256


class Pieces(BytesIO):
    """Like BytesIO; BadImage where its reads are too many for what they have read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        self._reads += 1
        if self._reads > _FREE_READS + self.tell() // _LEAST_BYTES_OF_A_READ:
            raise BadImage(
                "The image consists of far too many small pieces. Save it again, or send another."
            )
        return super().read(size)
