"""Releases on storage: listing them, the pointer to the current one, fetching and verifying one.

    <root>/releases/<release id>/manifest.json, and the files it lists, all immutable
    <root>/current.json                         the pointer: {"release_id": …, "previous": [… , …]}
    <root>/images/                              photos and thumbnails by hash

Whatever is wrong with a release is a ReleaseError that names the file or field, what was expected
and what was found.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .errors import ReleaseError
from .manifest import MANIFEST, FileInfo, Manifest, is_release_id
from .manifest_file import bad_field, parse_manifest
from .storage import Conflict, NotFoundInStorage, Storage, Version, remove_abandoned

POINTER = "current.json"
RELEASES = "releases"
IMAGES = "images"

# Releases that the pointer remembers to have been current: more than anybody rolls back over.
REMEMBERED = 10

# Downloads that run at once: enough to fill a machine's network, fewer than the client's sockets.
PARALLEL_DOWNLOADS = 8

# Read and hashed at a time. Each turn needs Python's lock, and a thread that stands back may keep
# it until a search has ended.
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class LocalRelease:
    """A release on this machine, or on its way here.

    Attributes:
        manifest: what it says about itself.
        folder: where its files are; those that no engine asked for may be missing.
        checks: of the files that are still to be verified, what ends when they are.
        contents: of the files that are here in memory alone.
    """

    manifest: Manifest
    folder: Path
    checks: Mapping[str, Future[None]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict, repr=False)

    def part(self, name: str) -> Path:
        """Return a file or folder of the release, once all of it is here and verified.

        Of a file that is in memory alone it is only waited for: see `take`.

        Raises:
            ReleaseError: a file is missing or differs from the manifest.
            StorageError: it could not be read from storage.
        """
        for file, check in self.checks.items():
            if file == name or file.startswith(f"{name}/"):
                check.result()
        return self.folder / name

    def take(self, name: str) -> Path | bytes:
        """Return a file as `part` does; of one that is in memory alone the content, and only once.

        Nothing holds the content here any more.
        """
        path = self.part(name)
        return self.contents.pop(name, path)


def release_prefix(release_id: str) -> str:
    """Return the release's folder under the root; ReleaseError where the id could be a path."""
    if not is_release_id(release_id):
        raise ReleaseError(f"{release_id!r} is no release id: expected letters, digits, '._-'.")
    return f"{RELEASES}/{release_id}"


class Pointer(NamedTuple):
    """Which release is current, and which were before it.

    Attributes:
        release_id: of the current one.
        version: what `set_current` needs.
        previous: releases that one could go back to, the latest first; at most REMEMBERED.
    """

    release_id: str
    version: Version
    previous: tuple[str, ...] = ()


def read_pointer(storage: Storage) -> Pointer | None:
    """Return the pointer; None before the first publication.

    One that was written before `previous` was kept remembers nothing.
    """
    found = storage.read_versioned(POINTER)
    if found is None:
        return None
    try:
        content = json.loads(found[0])
        release_id, previous = content["release_id"], content.get("previous", [])
        if not isinstance(previous, list):
            raise TypeError
        for each in (release_id, *previous):
            release_prefix(each)
    except (ValueError, KeyError, TypeError, AttributeError, ReleaseError) as error:
        raise ReleaseError(
            f'{POINTER}: expected {{"release_id": "…", "previous": ["…", …]}}, found something '
            "else. Remove it and publish again.",
            fault="POINTER_INVALID",
        ) from error
    return Pointer(release_id, found[1], tuple(previous))


def current_release_id(storage: Storage) -> str | None:
    """Return the id that the pointer holds; None before the first publication."""
    pointer = read_pointer(storage)
    return pointer.release_id if pointer else None


def set_current(storage: Storage, release_id: str, expected: Version | None) -> Version:
    """Point at a complete release.

    The pointer's `previous` are a stack. A release that is not in it goes on top of the one that is
    current now; one that is in it is gone back to, and what came after it is forgotten: so nobody
    who goes back further comes to a release that was left behind.

    Args:
        storage: the root.
        release_id: a release whose manifest is in place.
        expected: the pointer's version from `read_pointer`; None where there was no pointer.

    Raises:
        Conflict: another publisher moved the pointer since `expected` was read.
        ReleaseError: no such release.
    """
    if not storage.exists(f"{release_prefix(release_id)}/{MANIFEST}"):
        raise ReleaseError(f"{storage.url}: release {release_id} does not exist or is unfinished.")
    found = read_pointer(storage) if expected is not None else None
    if expected is not None and (found is None or found.version != expected):
        raise Conflict(f"{storage.url}/{POINTER} was changed by another writer.")
    content = {"release_id": release_id, "previous": previous_of(found, release_id)}
    return storage.compare_and_set(POINTER, json.dumps(content).encode(), expected)


def previous_of(found: Pointer | None, release_id: str) -> tuple[str, ...]:
    """Return what the pointer's `previous` are once it moves from `found` to `release_id`."""
    if found is None:
        return ()
    stack = (found.release_id, *found.previous)
    if release_id in stack:
        return stack[stack.index(release_id) + 1 :]
    return stack[:REMEMBERED]


def list_releases(storage: Storage) -> list[str]:
    """Return the ids of all complete releases, oldest first."""
    manifests = (name.split("/") for name in storage.list(RELEASES))
    return sorted(parts[1] for parts in manifests if len(parts) == 3 and parts[2] == MANIFEST)


def read_manifest(storage: Storage, release_id: str) -> Manifest:
    """Read one release's manifest; ReleaseError where it is missing, damaged or another's."""
    name = f"{release_prefix(release_id)}/{MANIFEST}"
    try:
        manifest = parse_manifest(storage.read(name))
    except NotFoundInStorage as error:
        raise ReleaseError(
            f"{storage.url}: release {release_id} does not exist.", fault="RELEASE_MISSING"
        ) from error
    if manifest.release_id != release_id:
        raise bad_field("release_id", f"the folder's name, {release_id}", manifest.release_id)
    return manifest


def fetch_release(
    storage: Storage, release_id: str, destination: Path, *, engine: str | None
) -> LocalRelease:
    """Do all that `fetching_release` does, and return when it is done."""
    with fetching_release(storage, release_id, destination, engine=engine) as release:
        pass
    return LocalRelease(release.manifest, release.folder)


@contextmanager
def fetching_release(
    storage: Storage,
    release_id: str,
    destination: Path,
    *,
    engine: str | None,
    held: Manifest | None = None,
    in_memory: Container[str] = (),
    begin_thread: Callable[[], None] = lambda: None,
) -> Iterator[LocalRelease]:
    """Bring the files that `engine` needs to this machine and verify each by size and SHA-256.

    Without an engine these are all of the release's.

    A context that is entered at once, while the files are still coming, and left when all are here;
    one that is left by an error begins no further file. A root that is a local folder is verified
    in place and nothing is copied. Otherwise files land under `destination`/releases/<release id>;
    those already there are verified and reused, so a fetch that was cut off goes on where it
    stopped. Not so those of `in_memory`, which are no files here and read anew each time: see
    `LocalRelease.take`. A program or an index that is also that of `held`, a release that is loaded
    already, is not fetched. `begin_thread` is called in each thread that downloads and verifies.

    Raises:
        ReleaseError: the release or a file is missing or differs from the manifest.
        StorageError: the storage cannot be read.
    """
    manifest = read_manifest(storage, release_id)
    wanted = manifest.files if engine is None else manifest.files_for(engine, held)
    source = storage.child(release_prefix(release_id))
    folder = source.folder or destination / release_prefix(release_id)
    if source.folder is None:
        remove_abandoned(folder)
    contents: dict[str, bytes] = {}

    def bring(name: str, info: FileInfo) -> None:
        if source.folder is not None:
            problem = difference(folder / name, info)
        elif name in in_memory:
            problem = _read(source, name, info, contents)
        else:
            problem = _download(source, name, info, folder / name)
        if problem:
            raise ReleaseError(
                f"{name} of release {release_id}: {problem}. The release is damaged: "
                "publish again, or point at another release."
            )

    pool = ThreadPoolExecutor(PARALLEL_DOWNLOADS, initializer=begin_thread)
    try:
        checks = {name: pool.submit(bring, name, info) for name, info in wanted.items()}
        yield LocalRelease(manifest, folder, checks, contents)
        for check in checks.values():
            check.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(source: Storage, name: str, expected: FileInfo, contents: dict[str, bytes]) -> str | None:
    """Add a file's content; or say how it differs from the manifest, like `difference`."""
    try:
        content = source.read(name)
    except NotFoundInStorage:
        return _difference(None, expected)
    found = FileInfo(hashlib.sha256(content).hexdigest(), len(content))
    problem = _difference(found, expected)
    if not problem:
        contents[name] = content
    return problem


def _download(source: Storage, name: str, expected: FileInfo, local: Path) -> str | None:
    """Bring a file to this disk unless it is there; say how it then differs from the manifest."""
    if not difference(local, expected):
        return None
    try:
        source.download(name, local)
    except NotFoundInStorage:
        local.unlink(missing_ok=True)
    return difference(local, expected)


def difference(path: Path, expected: FileInfo) -> str | None:
    """Say how a file differs from its entry in the manifest; None where it does not.

    An unreadable disk is an OSError.
    """
    return _difference(file_info(path) if path.is_file() else None, expected)


def _difference(found: FileInfo | None, expected: FileInfo) -> str | None:
    if found is None:
        return "expected a file, found none"
    if found.size != expected.size:
        return f"expected {expected.size} bytes, found {found.size}"
    if found.sha256 != expected.sha256:
        return f"expected SHA-256 {expected.sha256}, found {found.sha256}"
    return None


def file_info(path: Path) -> FileInfo:
    """Measure a file for the manifest."""
    digest, buffer = hashlib.sha256(), bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
    return FileInfo(digest.hexdigest(), path.stat().st_size)


def drop_cached_releases(destination: Path, *, keep: Collection[str]) -> None:
    """Remove what was fetched, but for some releases or parts: on Cloud Run the disk is memory.

    Safe while a release still serves whose index is kept: all else is loaded or held open. Another
    process that shares the folder does not keep this one's index: it would be searched without its
    tree, should that be lost. What cannot be removed stays.

    Args:
        destination: as of `fetching_release`.
        keep: `<release id>` or `<release id>/<file or folder>` each.
    """
    for folder in (destination / RELEASES).glob("*"):
        if folder.name in keep:
            continue
        # Another process may clean up too, or bring what is removed here.
        with suppress(OSError):
            for part in folder.iterdir():
                if f"{folder.name}/{part.name}" in keep:
                    continue
                if part.is_dir():
                    shutil.rmtree(part, ignore_errors=True)
                else:
                    part.unlink(missing_ok=True)
            folder.rmdir()
