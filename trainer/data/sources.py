"""Where encoded photos lie: beside a listing, under a URI, or inside a tar.

Nothing is ever unpacked: a tar's photos are read at their offsets, from any thread.
"""

import gzip
import os
import re
import shutil
import tarfile
import tempfile
import threading
import weakref
import zlib
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from function.storage import NotFoundInStorage, Storage, open_storage
from trainer.errors import CatalogError

# Downloads are kept, up to this much; local files the system keeps in memory by itself.
BUCKET_CACHE_LIMIT_BYTES = 2 << 30
BUCKET_REQUESTS_AT_ONCE = 8

METADATA = "metadata.csv"


def checked_image(image: str, *, uris: bool) -> str:
    """Return where a photo lies in the form that sources read; ValueError says what is wrong.

    Args:
        image: a relative path, with '/' or Windows' backslashes, or a URI.
        uris: whether file:// and gs:// are allowed: not in a tar, which stands for itself.
    """
    if not image:
        raise ValueError("expected a path or URI, found none")
    scheme, separator, rest = image.partition("://")
    if separator:
        if scheme in ("http", "https"):
            raise ValueError(
                f"{image!r}: photos are not fetched from the web while training: download them, "
                "name the local copy here, and keep the address as image_url"
            )
        if not uris or scheme not in ("file", "gs"):
            allowed = "a relative path, file:// or gs://" if uris else "a path inside the tar"
            raise ValueError(f"{image!r}: expected {allowed}")
        if scheme == "file" and urlsplit(image).netloc not in ("", "localhost"):
            raise ValueError(f"{image!r}: expected file:///absolute/path on this machine")
        if scheme == "gs" and not all(part not in ("", ".", "..") for part in rest.split("/")):
            raise ValueError(f"{image!r}: expected gs://bucket/object")
        if scheme == "gs" and "/" not in rest:
            raise ValueError(f"{image!r}: expected gs://bucket/object, found no object")
        return image
    path = image.replace("\\", "/")
    if path.startswith("/") or re.match("[A-Za-z]:", path):
        hint = "; for a photo elsewhere write file:///absolute/path" if uris else ""
        raise ValueError(f"{image!r}: expected a relative path, found an absolute one{hint}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise ValueError(f"{image!r} leaves the catalogue's folder: move the photo into it")
    return "/".join(parts)


class FolderSource:
    """Photos by path relative to one folder, and by file:// and gs:// URI."""

    def __init__(
        self, folder: Path | str, location: str, *, cache_bytes: int = BUCKET_CACHE_LIMIT_BYTES
    ) -> None:
        """Read nothing yet.

        Args:
            folder: what paths are relative to; also gs://bucket/prefix.
            location: for messages.
            cache_bytes: how much of what was downloaded is kept.
        """
        self.location = location
        self._folder = str(folder)
        self._buckets = _Buckets(cache_bytes)

    def read(self, image: str) -> bytes:
        place = self._place(image)
        if is_in_bucket(place):
            return self._buckets.read(place)
        try:
            return _read(place)
        except (NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(f"{place} is no file") from error

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        places = [self._place(image) for image in images]
        listed = self._buckets.listed(self._folder) if is_in_bucket(self._folder) else {}
        asked = [
            place
            for place in places
            if is_in_bucket(place) and (not listed or not place.startswith(f"{self._folder}/"))
        ]
        found = listed | self._buckets.sizes(asked)
        return [
            found.get(place) if is_in_bucket(place) else _file_size(Path(place)) for place in places
        ]

    def _place(self, image: str) -> str:
        if image.startswith("file://"):
            return url2pathname(urlsplit(image).path)
        return image if is_in_bucket(image) else f"{self._folder}/{image}"


def is_in_bucket(place: str) -> bool:
    """Whether this is the URI of an object, or of a folder of objects, in Google Cloud Storage."""
    return place.startswith("gs://")


def _read(path: str) -> bytes:
    """Read a file in as few calls as can be: at each, another thread may take the interpreter, and
    a file object makes twice as many."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        parts = [os.read(descriptor, size)]
        while parts[-1] and (missing := size - sum(map(len, parts))) > 0:
            parts.append(os.read(descriptor, missing))
        return b"".join(parts) if len(parts) > 1 else parts[0]
    finally:
        os.close(descriptor)


def _file_size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


class _Buckets:
    """Photos by gs:// URI; each is downloaded once while the cache has room."""

    def __init__(self, cache_bytes: int) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Storage] = {}
        self._cache: dict[str, bytes] = {}
        self._room = cache_bytes

    def read(self, uri: str) -> bytes:
        if (cached := self._cache.get(uri)) is not None:
            return cached
        storage, name = self._locate(uri)
        try:
            data = storage.read(name)
        except NotFoundInStorage as error:
            raise FileNotFoundError(f"{uri} does not exist") from error
        with self._lock:
            # Nothing is evicted: training walks over all photos again and again, and dropping
            # the least recently used would drop each just before its turn.
            if uri not in self._cache and len(data) <= self._room:
                self._cache[uri] = data
                self._room -= len(data)
        return data

    def listed(self, folder: str) -> dict[str, int | None]:
        """The sizes of all photos below a folder's URI, by URI: a request for each thousand."""
        return {f"{folder}/{name}": size for name, size in open_storage(folder).sizes().items()}

    def sizes(self, uris: Sequence[str]) -> dict[str, int | None]:
        """The sizes of some photos, None of those that are missing: a request for each."""
        with ThreadPoolExecutor(BUCKET_REQUESTS_AT_ONCE) as pool:
            return dict(zip(uris, pool.map(self._size, uris), strict=True))

    def _size(self, uri: str) -> int | None:
        storage, name = self._locate(uri)
        try:
            return storage.size(name)
        except NotFoundInStorage:
            return None

    def _locate(self, uri: str) -> tuple[Storage, str]:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        with self._lock:
            if bucket not in self._open:
                self._open[bucket] = open_storage(f"gs://{bucket}")
            return self._open[bucket], name


class TarSource:
    """Photos inside a tar, or a tar.gz that is decompressed into a nameless temporary file.

    Members are named from the folder that holds the listing, which is the tar's top or one below
    it. Links are not followed: only plain members can be read.
    """

    def __init__(self, path: Path, location: str, *, listings: Sequence[str] = (METADATA,)) -> None:
        """Index the tar.

        Args:
            path: the file.
            location: its name for messages.
            listings: as in `listing_folder`.

        Raises:
            CatalogError: it is damaged, names a member outside itself, or has no listing.
        """
        self.location = location
        try:
            with _plain_tar(path) as file:
                self._members = _index(file, location, listings)
                self._descriptor = os.dup(file.fileno())
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise CatalogError(
                f"{location} is no readable tar ({error}): make or copy it again"
            ) from error
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, image: str) -> bytes:
        if image not in self._members:
            raise FileNotFoundError(f"{self.location} has no file {image}")
        offset, size = self._members[image]
        return os.pread(self._descriptor, size, offset)

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        return [self._members[image][1] if image in self._members else None for image in images]


@contextmanager
def _plain_tar(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            yield file
            return
    with tempfile.TemporaryFile() as file, gzip.open(path) as compressed:
        shutil.copyfileobj(compressed, file, 1 << 20)
        file.seek(0)
        yield file


def _index(file: BinaryIO, location: str, listings: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the offset and size of each plain member, by name below the listing's folder."""
    members: dict[str, tuple[int, int]] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if ".." in parts or member.name.startswith("/"):
                raise CatalogError(
                    f"{location}: member {member.name!r} lies outside the archive: "
                    "make the tar again, from inside the catalogue's folder"
                )
            if member.isreg() and not member.issparse():
                members["/".join(parts)] = (member.offset_data, member.size)
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps them all
    top = listing_folder(members, listings, location)
    return {
        name.removeprefix(top): place for name, place in members.items() if name.startswith(top)
    }


def listing_folder(names: Collection[str], listings: Sequence[str], location: str) -> str:
    """Return the folder that an archive's photos are named from: "", or "folder/".

    Args:
        names: the archive's members.
        listings: paths, from that folder, where the listing may lie; the first that is there
            counts. None: the top is the folder.
        location: the archive, for messages.

    Raises:
        CatalogError: the listing is not there, or lies in several folders.
    """
    tops: list[str] = []
    for listing in listings:
        tops = [
            name.removesuffix(listing)
            for name in names
            # macOS keeps a shadow of every file there.
            if f"/{name}".endswith(f"/{listing}") and not name.startswith("__MACOSX/")
        ]
        tops = [top for top in tops if top.count("/") <= 1]
        if tops:
            break
    if listings and len(tops) != 1:
        raise CatalogError(
            f"{location}: expected one {' or '.join(listings)}, at the top or in the one top "
            f"folder, found {len(tops)}"
        )
    return tops[0] if tops else ""
