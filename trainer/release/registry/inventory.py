"""What lies under a root's releases/: complete releases, and what publishers left unfinished."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from function.catalog import ImageRow
from function.errors import ReleaseError
from function.file_catalog import FileCatalog, open_catalog
from function.manifest import CATALOG, MANIFEST, Manifest
from function.release import IMAGES, RELEASES, difference, read_manifest, release_prefix
from function.storage import NotFoundInStorage, Storage
from trainer.errors import RegistryError

if TYPE_CHECKING:
    from trainer.release.database.connection import Database

# Requests that run at once; below the connections that the storage client keeps.
PARALLEL_REQUESTS = 8


@dataclass(frozen=True)
class Stored:
    """A folder below releases/.

    Attributes:
        release_id: its name.
        names: its files, from the root.
        complete: whether it has a manifest.
    """

    release_id: str
    names: tuple[str, ...]
    complete: bool


def stored_releases(storage: Storage) -> list[Stored]:
    """Return all releases, unfinished ones too, oldest first."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in storage.list(RELEASES):
        _, release_id, *rest = name.split("/")
        if rest:
            names[release_id].append(name)
    if storage.folder is not None and (storage.folder / RELEASES).is_dir():
        # A publisher that was killed in its first file leaves nothing that `list` shows.
        for folder in (storage.folder / RELEASES).iterdir():
            if folder.is_dir():
                names[folder.name] += []
    return [
        Stored(release_id, tuple(files), f"{RELEASES}/{release_id}/{MANIFEST}" in files)
        for release_id, files in sorted(names.items())
    ]


def read_manifests(
    storage: Storage, release_ids: Sequence[str]
) -> dict[str, Manifest | ReleaseError]:
    """Read several manifests at once; what is wrong with one stands in its place."""

    def read(release_id: str) -> Manifest | ReleaseError:
        try:
            return read_manifest(storage, release_id)
        except ReleaseError as error:
            return error

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return dict(zip(release_ids, pool.map(read, release_ids), strict=True))


@contextmanager
def release_catalog(storage: Storage, manifest: Manifest) -> Iterator[FileCatalog]:
    """Give the catalogue of a release in files.

    Raises:
        ReleaseError: it is missing or differs from its manifest.
        RegistryError: the release lies in a database.
    """
    if manifest.is_in_database:
        raise RegistryError(
            f"Release {manifest.release_id} lies in a database: expected one in files."
        )
    source = storage.child(release_prefix(manifest.release_id))
    with TemporaryDirectory(prefix="lookalike-catalog-") as scratch:
        path = (source.folder or Path(scratch)) / CATALOG
        if source.folder is None:
            try:
                source.download(CATALOG, path)
            except NotFoundInStorage as error:
                raise _damaged(manifest, "expected a file, found none") from error
        if problem := difference(path, manifest.files[CATALOG]):
            raise _damaged(manifest, problem)
        catalog = open_catalog(path)
        try:
            yield catalog
        finally:
            catalog.close()


def _damaged(manifest: Manifest, problem: str) -> ReleaseError:
    return ReleaseError(f"{CATALOG} of release {manifest.release_id}: {problem}.")


def all_images(catalog: FileCatalog) -> list[ImageRow]:
    """Return every photo of a catalogue, by row."""
    return catalog.images(range(catalog.counts.images))


def stored_photos(images: Sequence[ImageRow]) -> set[str]:
    """Return the names, below the root's images/, of what these photos need there."""
    hashes = {image.sha256 for image in images} | {image.thumbnail_sha256 for image in images}
    return {f"{sha256}.jpg" for sha256 in hashes - {""}}


def photos_of(storage: Storage, manifest: Manifest, database: "Database | None") -> set[str]:
    """Return the names, below the root's images/, of what a release's photos need there.

    Args:
        storage: the root.
        manifest: the release's.
        database: where its rows may be.

    Raises:
        ReleaseError: its catalogue is missing or damaged.
        RegistryError: its rows lie in a database, and none is told.
        DatabaseError: the database cannot be asked.
    """
    if not manifest.is_in_database:
        with release_catalog(storage, manifest) as catalog:
            return stored_photos(all_images(catalog))
    with needed(database, manifest.release_id).connected() as connection:
        from trainer.release.database.inspection import stored_names

        return stored_names(connection, manifest.release_id)


def needed(database: "Database | None", release_id: str) -> "Database":
    """Return the database that a release lies in; RegistryError where none is told."""
    if database is None:
        raise RegistryError(
            f"Release {release_id} lies in a database: expected its address, found none. "
            "Give it with --database, or in LOOKALIKE_DATABASE."
        )
    return database


def missing_photos(storage: Storage, wanted: set[str]) -> Sequence[str]:
    """Return which of these names are not below the root's images/."""
    there = {name.removeprefix(f"{IMAGES}/") for name in storage.list(IMAGES)} if wanted else set()
    return sorted(wanted - there)
