"""Open what a shop has, whatever its shape, as one `Catalog`.

| Given                                | Rows from     | A photo's path is relative to     |
|--------------------------------------|---------------|-----------------------------------|
| folder with metadata.csv             | metadata.csv  | the folder                        |
| .tar, .tar.gz, .tgz                  | metadata.csv  | metadata.csv's folder, inside     |
| .csv, .tsv, .jsonl, .ndjson, .parquet| the file      | the file's folder                 |
| folder with .parquet files           | these, by name| the folder                        |
| folder of folders                    | the files     | the folder; its name: product id  |
| folder of `lookalike data prepare`   | photos.parquet| the source it was prepared from   |

Tars and what was prepared are read here; all others may lie in a bucket too, as gs:// URIs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from function.storage import open_storage
from trainer.data.columns import parse_photos
from trainer.data.prepared import DATASET_INFO, is_prepared, open_prepared
from trainer.data.problems import refuse
from trainer.data.records import Catalog, Photo, Source
from trainer.data.sources import METADATA, FolderSource, TarSource, is_in_bucket
from trainer.data.tables import Table, read_csv, read_json_lines, read_parquet
from trainer.errors import CatalogError

_READ_HERE = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".avif")
# Photos that are not decoded here count as well, so that screening names them.
PHOTO_SUFFIXES = (*_READ_HERE, ".tif", ".tiff", ".heic", ".heif")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_SHAPES = (
    "a folder or tar with metadata.csv; a .csv, .jsonl or .parquet file; a folder of .parquet "
    "files; a folder of folders, each named by a product id; or what `lookalike data prepare` made"
)


def open_catalog(path: str | Path) -> Catalog:
    """Read a catalogue's listing. The photos themselves are neither opened nor looked for.

    Args:
        path: a file or folder, also as gs://bucket/name.

    Raises:
        CatalogError: nothing is there, its shape is unknown, it lists no photo, or rows are bad;
            up to ten problems are named with their rows.
        StorageError: a bucket cannot be read.
    """
    location = str(path)
    try:
        if is_in_bucket(location):
            catalog = _open_in_bucket(location.rstrip("/"))
        else:
            catalog = _open(_existing(location), location)
    except OSError as error:
        raise CatalogError(f"{location} cannot be read: {error.strerror}") from error
    if not catalog.photos:
        raise CatalogError(f"{location} lists no photo: expected {_SHAPES}")
    return catalog


def open_source(location: str, *, listed_elsewhere: bool = False) -> Source:
    """Open what a catalogue's photos are read from, in another process than the one that listed it.

    Args:
        location: as its `Source` tells it.
        listed_elsewhere: the listing need not be here: all photos have gs:// URIs. None is kept
            in memory after it was read.

    Raises:
        CatalogError: it is not there, or cannot be read.
    """
    if is_in_bucket(location):
        return FolderSource(_folder_in_bucket(location), location, cache_bytes=0)
    if listed_elsewhere:
        return FolderSource(Path(location), location, cache_bytes=0)
    path = _existing(location)
    if path.is_dir():
        if is_prepared(path):
            return open_prepared(path, location).source
        return FolderSource(path, location, cache_bytes=0)
    if _is_tar(path):
        return TarSource(path, location)
    return FolderSource(path.parent, location, cache_bytes=0)


def _existing(location: str) -> Path:
    if "://" in location:
        raise CatalogError(
            f"{location}: a catalogue is a file or folder here or on gs://, as its photos are. "
            "Copy the listing to one of these first"
        )
    path = Path(location).expanduser()
    if not path.exists():
        raise CatalogError(f"{location} does not exist: expected {_SHAPES}")
    return path


@dataclass(frozen=True)
class Listing:
    """A table of photos, and where these lie.

    Attributes:
        name: as a catalogue's.
        source: of the photos.
        table: the rows, not yet understood.
        uris: whether images may be file:// and gs:// URIs.
    """

    name: str
    source: Source
    table: Table
    uris: bool


def open_listing(path: Path, location: str) -> Listing | None:
    """Read a listing file, or that of a folder or tar; None for a folder without one.

    Raises:
        CatalogError: its shape is unknown, or it cannot be understood as a table.
        OSError: it cannot be read.
    """
    if path.is_dir():
        metadata = path / METADATA
        if metadata.is_file():
            table = read_csv(metadata.read_bytes(), f"{location}/{METADATA}")
        elif parts := parquet_parts(path):
            table = read_parquet(parts, location)
        else:
            return None
        return Listing(path.resolve().name, FolderSource(path, location), table, uris=True)
    if _is_tar(path):
        tar = TarSource(path, location)
        table = read_csv(tar.read(METADATA), f"{location}/{METADATA}")
        return Listing(path.stem.removesuffix(".tar"), tar, table, uris=False)
    match path.suffix.casefold():
        case ".csv" | ".tsv":
            table = read_csv(path.read_bytes(), location)
        case ".jsonl" | ".ndjson":
            table = read_json_lines(path.read_bytes(), location)
        case ".parquet":
            table = read_parquet([path], location)
        case _:
            raise CatalogError(f"{location}: expected {_SHAPES}")
    return Listing(path.stem, FolderSource(path.parent, location), table, uris=True)


def parquet_parts(folder: Path) -> list[Path]:
    """Return the Parquet files of one listing in a folder, by name; hidden ones do not count."""
    return sorted(path for path in folder.iterdir() if _is_part(path.name) and path.is_file())


def _is_part(name: str) -> bool:
    return (
        "/" not in name
        and PurePosixPath(name).suffix.casefold() == ".parquet"
        and name[0] not in "._"
    )


def _is_tar(path: Path) -> bool:
    name = path.name.casefold()
    return name.endswith((".tar", ".tgz", ".tar.gz"))


def _open(path: Path, location: str) -> Catalog:
    if path.is_dir() and is_prepared(path):
        return open_prepared(path, location)
    listing = open_listing(path, location)
    if listing is None:
        source = FolderSource(path, location)
        return _open_folders(path.resolve().name, source, location, _names_below(path))
    photos = parse_photos(listing.table, uris=listing.uris)
    return Catalog(listing.name, listing.source, photos)


def _open_in_bucket(location: str) -> Catalog:
    """Fetch the listing; photos stay where they are."""
    if _is_tar(Path(location)):
        raise CatalogError(f"{location}: a tar is read at its offsets: copy it here first")
    folder = _folder_in_bucket(location)
    storage, name = open_storage(folder), PurePosixPath(location).name
    source = FolderSource(folder, location)
    if folder != location:
        files = [name] if storage.exists(name) else []
    else:
        names = storage.list()
        if DATASET_INFO in names:
            raise CatalogError(f"{location} was prepared, for reading from a disk: copy it here")
        files = [METADATA] if METADATA in names else sorted(filter(_is_part, names))
        if names and not files:
            return _open_folders(name, source, location, names)
    if not files:
        raise CatalogError(f"{location} does not exist: expected {_SHAPES}")
    with TemporaryDirectory(prefix="lookalike-listing-") as fetched:
        for file in files:
            storage.download(file, Path(fetched) / file)
        place = Path(fetched) if folder == location else Path(fetched) / name
        listing = open_listing(place, location)
        if listing is None:
            raise CatalogError(f"{location}: expected {_SHAPES}")
        photos = parse_photos(listing.table, uris=True)
    return Catalog(PurePosixPath(location).stem, source, photos)


def _folder_in_bucket(location: str) -> str:
    """Return the URI that photos' paths are relative to: of the listing's folder, or itself."""
    is_file = PurePosixPath(location).suffix.casefold() in _TABLES
    return location.rpartition("/")[0] if is_file else location.rstrip("/")


def _open_folders(name: str, source: Source, location: str, names: Iterable[str]) -> Catalog:
    """Take the folder that a photo lies in for its product; hidden files do not count."""
    images = sorted(
        name
        for name in names
        if PurePosixPath(name).suffix.casefold() in PHOTO_SUFFIXES
        and not any(part.startswith(".") for part in name.split("/"))
    )
    refuse(
        location,
        [f"{image} lies in no product's folder" for image in images if "/" not in image],
        f"Expected {_SHAPES}.",
    )
    return Catalog(
        name,
        source,
        tuple(Photo(product_id=image.partition("/")[0], image=image) for image in images),
    )


def _names_below(folder: Path) -> Iterator[str]:
    """Yield the path of every file that is not hidden."""
    for parent, folders, files in folder.walk():
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            yield (parent / name).relative_to(folder).as_posix()
