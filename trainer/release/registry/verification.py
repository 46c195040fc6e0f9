"""Whether a release is what its manifest says, and serves: all that is wrong with it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from function.errors import ReleaseError, Unavailable
from function.loading import open_release
from function.manifest import MANIFEST, FileInfo, Manifest
from function.release import (
    IMAGES,
    LocalRelease,
    difference,
    list_releases,
    read_manifest,
    read_pointer,
    release_prefix,
)
from function.storage import NotFoundInStorage, Storage
from trainer.errors import RegistryError
from trainer.progress import console, track
from trainer.release.registry.inventory import (
    PARALLEL_REQUESTS,
    missing_photos,
    needed,
    photos_of,
)

if TYPE_CHECKING:
    from trainer.release.database.connection import Database

_SHOWN_PHOTOS = 3


@dataclass(frozen=True)
class Verified:
    """What was found.

    Attributes:
        release_id: of what.
        files: how many were read.
        size: of these, in bytes.
        problems: each says what was expected, and what was found; none where all is well.
    """

    release_id: str
    files: int
    size: int
    problems: tuple[str, ...]


def verify_all(
    storage: Storage, *, engine: str = "openvino", database: "Database | None" = None
) -> list[Verified]:
    """Verify every complete release, oldest first, and that the pointer names one of them."""
    releases = list_releases(storage)
    found = [
        verify_release(storage, release_id, engine=engine, database=database)
        for release_id in releases
    ]
    pointer = read_pointer(storage)
    if pointer is not None and pointer.release_id not in releases:
        problem = "the pointer names it; expected a complete release, found none"
        found.append(Verified(pointer.release_id, 0, 0, (problem,)))
    return found


def verify_release(
    storage: Storage,
    release_id: str | None = None,
    *,
    engine: str = "openvino",
    database: "Database | None" = None,
) -> Verified:
    """Read every file of a release and check it, then serve from it as a function would.

    Args:
        storage: the root.
        release_id: which; None: the current one.
        engine: "openvino" or "jax": what answers the golden photos.
        database: where the rows of a release may be.

    Raises:
        RegistryError: there is no current release, or its rows lie in a database and none is told.
        DatabaseError: the database cannot be asked.
        StorageError: the root cannot be read.
    """
    if release_id is None:
        pointer = read_pointer(storage)
        if pointer is None:
            raise RegistryError(f"{storage.url}: expected a current release; found none.")
        release_id = pointer.release_id
    try:
        manifest = read_manifest(storage, release_id)
    except ReleaseError as error:
        return Verified(release_id, 0, 0, (error.message,))
    source = storage.child(release_prefix(release_id))
    with TemporaryDirectory(prefix="lookalike-verify-") as scratch:
        folder = source.folder or Path(scratch)
        problems = _file_problems(source, manifest, folder)
        if manifest.is_in_database:
            problems += _row_problems(manifest, needed(database, release_id))
        if not problems:
            problems += _serving_problems(LocalRelease(manifest, folder), engine, database)
            problems += _photo_problems(storage, manifest, database)
    strangers = sorted(set(source.list()) - {*manifest.files, MANIFEST})
    problems += [
        f"{name}: expected no such file; the manifest does not list it" for name in strangers
    ]
    size = sum(info.size for info in manifest.files.values())
    return Verified(release_id, len(manifest.files), size, tuple(problems))


def _file_problems(source: Storage, manifest: Manifest, folder: Path) -> list[str]:
    def check(item: tuple[str, FileInfo]) -> str | None:
        name, info = item
        if source.folder is None:
            try:
                source.download(name, folder / name)
            except NotFoundInStorage:
                return f"{name}: expected a file, found none"
        problem = difference(folder / name, info)
        return f"{name}: {problem}" if problem else None

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        checks = pool.map(check, sorted(manifest.files.items()))
        label = f"Verifying {manifest.release_id}"
        return [problem for problem in track(checks, label, len(manifest.files)) if problem]


def _serving_problems(release: LocalRelease, engine: str, database: "Database | None") -> list[str]:
    reading = database.reading() if database is not None else None
    try:
        with console.status("Asking it a real query…"):
            open_release(release, engine=engine, database=reading).catalog.close()
    except (ReleaseError, Unavailable) as error:
        return [error.message]
    finally:
        if reading is not None:
            reading.close()
    return []


def _row_problems(manifest: Manifest, database: "Database") -> list[str]:
    from trainer.release.database.inspection import problems

    with database.connected() as connection, console.status("Counting rows…"):
        return problems(connection, manifest)


def _photo_problems(storage: Storage, manifest: Manifest, database: "Database | None") -> list[str]:
    wanted = photos_of(storage, manifest, database)
    missing = missing_photos(storage, wanted)
    if not missing:
        return []
    return [
        f"{IMAGES}/: expected {len(wanted)} photos and thumbnails; {len(missing)} are missing, as "
        f"{', '.join(missing[:_SHOWN_PHOTOS])}"
    ]
