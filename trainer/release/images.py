"""Photos of products that bring no URL: stored beside the releases, named by their hash."""

import hashlib
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from function.photo import decode
from function.release import IMAGES
from function.storage import Storage

# Longest sides of what is stored, in pixels: what a product page shows, and a tile of a grid.
PHOTO_SIDE = 1600
THUMBNAIL_SIDE = 320

_JPEG_QUALITY = 90
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StoredPhoto:
    """Hashes of what is stored; `thumbnail_sha256` is "" where the photo itself is small."""

    sha256: str
    thumbnail_sha256: str


class ImageStore:
    """Writes to <root>/images/<sha256>.jpg what is not there yet. Safe for several threads."""

    def __init__(self, root: Storage, *, listed: bool = True) -> None:
        """Look what is there.

        Args:
            root: the storage.
            listed: list it once; else each photo is asked for, and none remembered.
        """
        self._storage = root
        self._known: set[str] | None = None
        if listed:
            self._known = {name.removeprefix(f"{IMAGES}/") for name in root.list(IMAGES)}

    def add(self, data: bytes) -> StoredPhoto:
        """Store a photo and, if it is larger than one, its thumbnail.

        Both are JPEG in sRGB, upright, without metadata: a camera's position is not published.

        Raises:
            FunctionError: the photo cannot be decoded.
        """
        photo = decode(data, reduce_to=PHOTO_SIDE)
        photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE), reducing_gap=2.0)
        stored = self._put(photo)
        if max(photo.size) <= THUMBNAIL_SIDE:
            return StoredPhoto(stored, "")
        photo.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
        return StoredPhoto(stored, self._put(photo))

    def _put(self, image: Image.Image) -> str:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{sha256}.jpg"
        if not self._is_there(name):
            self._storage.write(
                f"{IMAGES}/{name}", data, content_type="image/jpeg", cache_control=_FOR_EVER
            )
            if self._known is not None:
                self._known.add(name)
        return sha256

    def _is_there(self, name: str) -> bool:
        if self._known is not None:
            return name in self._known
        return self._storage.exists(f"{IMAGES}/{name}")
