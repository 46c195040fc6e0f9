"""A data set's files as they were published: a folder, a zip or a tar, read where they lie."""

import errno
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainer.data.records import Source
from trainer.data.sources import FolderSource, TarSource, listing_folder
from trainer.errors import CatalogError

_TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz")
ARCHIVE_SUFFIXES = (".zip", *_TAR_SUFFIXES)


class ZipSource:
    """Photos inside a zip, named from the folder that holds its listing."""

    def __init__(self, path: Path, location: str, *, listings: Sequence[str]) -> None:
        """Read the zip's directory.

        Args:
            path: the file.
            location: its name for messages.
            listings: as in `listing_folder`.

        Raises:
            CatalogError: it is damaged, or has no listing.
        """
        self.location = location
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise CatalogError(
                f"{location} is no readable zip ({error}): download or copy it again"
            ) from error
        self._sizes = {i.filename: i.file_size for i in self._zip.infolist() if not i.is_dir()}
        self._top = listing_folder(self._sizes, listings, location)

    def read(self, image: str) -> bytes:
        try:
            return self._zip.read(self._top + image)
        except KeyError as error:
            raise FileNotFoundError(f"{self.location} has no file {image}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise OSError(errno.EIO, f"damaged inside the zip ({error})") from error

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        return [self._sizes.get(self._top + image) for image in images]


class _Layers:
    """Several sources as one; the first that has a photo gives it."""

    def __init__(self, location: str, sources: Sequence[Source]) -> None:
        self.location = location
        self._sources = sources

    def read(self, image: str) -> bytes:
        for source in self._sources:
            try:
                return source.read(image)
            except FileNotFoundError:
                continue
        raise FileNotFoundError(f"{self.location} has no file {image}")

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        layers = (source.sizes(images) for source in self._sources)
        return [
            next((size for size in found if size is not None), None)
            for found in zip(*layers, strict=True)
        ]


def open_files(path: Path, *, listings: Sequence[str], beside: Iterable[str] = ()) -> Source:
    """Open a published data set, extracted or not.

    Args:
        path: a folder, .zip, .tar, .tgz or .tar.gz.
        listings: as in `listing_folder`; a folder's sub-folders are looked through likewise.
        beside: archives that may hold a folder's photos, by their path from the listing's folder.

    Raises:
        CatalogError: nothing is there, it is no archive, it is damaged, or has no listing.
    """
    location = str(path)
    if path.is_dir():
        # As the listing of an archive: at the top or one below it.
        names = {
            found.relative_to(path).as_posix()
            for listing in listings
            for pattern in (listing, f"*/{listing}")
            for found in path.glob(pattern)
        }
        top = path / listing_folder(names, listings, location)
        archives = [_open_archive(top / name, ()) for name in beside if (top / name).is_file()]
        folder = FolderSource(top, location)
        return _Layers(location, [folder, *archives]) if archives else folder
    if not path.is_file():
        raise CatalogError(f"{location} does not exist: expected the data set's zip or folder")
    return _open_archive(path, listings)


def _open_archive(path: Path, listings: Sequence[str]) -> Source:
    name = path.name.casefold()
    if name.endswith(".zip"):
        return ZipSource(path, str(path), listings=listings)
    if name.endswith(_TAR_SUFFIXES):
        return TarSource(path, str(path), listings=listings)
    raise CatalogError(f"{path}: expected a folder or {', '.join(ARCHIVE_SUFFIXES)}")
