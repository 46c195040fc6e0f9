"""Listings of any length: photos as they are read, none of them kept."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.data.catalog import parquet_parts
from trainer.data.columns import stream_photos
from trainer.data.records import Photo, Source
from trainer.data.sources import FolderSource
from trainer.data.tables import parquet_rows, read_parquet
from trainer.errors import CatalogError


@dataclass(frozen=True)
class LargeCatalog:
    """A catalogue that memory need not hold.

    Attributes:
        name: as a catalogue's.
        source: of the photos.
        rows: how many it lists.
        fingerprint: SHA-256, in hexadecimal, of the listing's bytes.
        photos: yields all photos in order, anew at each call; CatalogError where rows are bad.
    """

    name: str
    source: Source
    rows: int
    fingerprint: str
    photos: Callable[[], Iterator[Photo]]


def open_large(path: str | Path) -> LargeCatalog:
    """Open a Parquet file, or a folder of Parquet files, however many rows it has.

    The columns are a catalogue's. What takes a memory of all rows is not looked for: the same
    product and image twice.

    Raises:
        CatalogError: it is no such listing, or has other columns.
    """
    location, place = str(path), Path(path).expanduser()
    files = parquet_parts(place) if place.is_dir() else [place]
    if not files or any(
        file.suffix.casefold() != ".parquet" or not file.is_file() for file in files
    ):
        raise CatalogError(f"{location}: expected a Parquet file or a folder of Parquet files")
    folder = place if place.is_dir() else place.parent
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{file.name} {sha256}\n".encode())
    return LargeCatalog(
        place.resolve().name.removesuffix(".parquet"),
        FolderSource(folder, location),
        sum(map(parquet_rows, files)),
        digest.hexdigest(),
        lambda: stream_photos(read_parquet(files, location), uris=True),
    )
