"""A built release onto its root, and into sight: files, then manifest, then pointer."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from function.errors import FunctionError
from function.manifest import MANIFEST
from function.release import LocalRelease, Pointer, read_pointer, release_prefix, set_current
from function.storage import Conflict, Storage, open_storage
from trainer.errors import PublishError
from trainer.progress import track
from trainer.release.registry.inventory import missing_photos
from trainer.release.rows import FileRows, Rows

# Uploads that run at once; below the connections that the storage client keeps.
_PARALLEL_UPLOADS = 8
# How long storage may be away: what was embedded by then took longer than that to make.
OUTAGE_SECONDS = 600.0


def open_root(root: str) -> tuple[Storage, Pointer | None]:
    """Open a root to publish to, and read its pointer.

    A root that cannot be reached now is told of soon. Later, an outage of minutes is waited for.

    Args:
        root: a folder or gs://bucket/prefix.

    Raises:
        ReleaseError: the pointer is damaged.
        StorageError: the root cannot be read.
    """
    pointer = read_pointer(open_storage(root))
    return open_storage(root, retry_seconds=OUTAGE_SECONDS), pointer


def build_and_publish(
    storage: Storage,
    pointer: Pointer | None,
    build: Callable[[Path], LocalRelease],
    rows: Rows | None = None,
) -> str:
    """Build a release, upload it, and make it the current one.

    Whatever is cut off at any moment leaves no half release in sight.

    Args:
        storage: the root.
        pointer: as it was before anything was read that the release builds on.
        build: makes the release in an empty folder.
        rows: where it puts index and catalogue; None: into the folder.

    Returns:
        The release's id.

    Raises:
        PublishError: another publisher was faster, photos are no longer stored, or the release
            would not serve.
        StorageError: the root cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-release-") as folder:
        release = build(Path(folder))
        upload(release, storage, rows)
    release_id = release.manifest.release_id
    try:
        set_current(storage, release_id, pointer.version if pointer else None)
    except Conflict as error:
        raise PublishError(
            f"{storage.url}: another release became the current one while this one was made. "
            f"It is kept, as {release_id}; to serve it: "
            f"lookalike releases promote {release_id} --root {storage.url}"
        ) from error
    return release_id


def upload(release: LocalRelease, storage: Storage, rows: Rows | None = None) -> None:
    """Copy a built release to the root: its files in any order, its manifest after them all.

    Args:
        release: in its folder.
        storage: the root.
        rows: as for `build_and_publish`.

    Raises:
        PublishError: photos that its catalogue counts on are not stored, or it would not serve.
        StorageError: the root cannot be written.
    """
    target = storage.child(release_prefix(release.manifest.release_id))
    names = list(release.manifest.files)
    with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
        uploads = pool.map(lambda name: target.upload(release.folder / name, name), names)
        for _ in track(uploads, "Uploading", len(names)):
            pass
    rows = rows or FileRows()
    missing = missing_photos(storage, rows.photos(release))
    if missing:
        raise PublishError(
            f"{storage.url}: expected all photos of the catalogue to be stored; {len(missing)} are "
            f"not, as {missing[0]}. Were they pruned meanwhile? Publish again."
        )
    try:
        rows.show(release)
    except FunctionError as error:
        raise PublishError(f"The release would not serve. {error.message}") from error
    target.write(
        MANIFEST, (release.folder / MANIFEST).read_bytes(), content_type="application/json"
    )
