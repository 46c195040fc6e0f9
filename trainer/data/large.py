"""Listings of any length: photos as they are read, none of them kept."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.data.catalog import parquet_parts
from trainer.data.columns import stream_photos
from trainer.data.prepared import is_prepared
from trainer.data.records import Photo, Source
from trainer.data.sources import METADATA, FolderSource
from trainer.data.tables import parquet_rows, read_parquet
from trainer.errors import CatalogError

# Longer listings are walked through: a row and its photo's vector take about three kilobytes.
MOST_HELD_ROWS = 1_000_000


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


def is_large(path: str | Path) -> bool:
    """Whether a listing can be walked through, and is too long to be held."""
    files = _files(Path(path).expanduser())
    return sum(map(parquet_rows, files)) > MOST_HELD_ROWS


def open_large(path: str | Path) -> LargeCatalog:
    """Open a Parquet file, or a folder of Parquet files, however many rows it has.

    The columns are a catalogue's. What takes a memory of all rows is not looked for: the same
    product and image twice.

    Raises:
        CatalogError: it is no such listing, or has other columns.
    """
    location, place = str(path), Path(path).expanduser()
    files = _files(place)
    if not files:
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


def _files(place: Path) -> list[Path]:
    """Return the Parquet files of a listing; none where it is another."""
    if place.is_dir():
        return [] if (place / METADATA).is_file() or is_prepared(place) else parquet_parts(place)
    return [place] if place.suffix.casefold() == ".parquet" and place.is_file() else []
