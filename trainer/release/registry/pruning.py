"""Old releases, and what cut-off publishers left: removed without a reader's ever missing one."""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Literal

from function.errors import ReleaseError
from function.manifest import MANIFEST, Manifest
from function.release import IMAGES, Pointer, read_manifest, read_pointer, release_prefix
from function.storage import NotFoundInStorage, Storage
from trainer.errors import RegistryError
from trainer.progress import progress_bar
from trainer.release.identity import made_at
from trainer.release.registry.inventory import (
    PARALLEL_REQUESTS,
    Stored,
    needed,
    photos_of,
    read_manifests,
    stored_releases,
)
from trainer.release.shards.job import EMBEDDINGS, Job

if TYPE_CHECKING:
    from trainer.release.database.connection import Database

DEFAULT_KEEP = 3

# Younger ones may be on their way: an upload takes hours at the most.
DEFAULT_GRACE = timedelta(days=1)

Reason = Literal["old", "unfinished"]


@dataclass(frozen=True)
class Removal:
    """A release to remove.

    Attributes:
        release_id: which.
        reason: "old": complete, and not among those to keep; "unfinished": without a manifest.
        names: its files, from the root.
        size: of these, in bytes.
    """

    release_id: str
    reason: Reason
    names: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Plan:
    """What a pruning removes.

    Attributes:
        releases: oldest first.
        kept: ids of the complete releases that stay, oldest first.
        images: names of photos, from the root, that no release that stays has in its catalogue.
        images_size: of these, in bytes.
        embeddings: names of jobs whose publication was cut off, and never run again.
        embeddings_size: of these, in bytes.
        in_database: ids of those of `releases` that have rows in the database.
        in_database_size: of these rows and their indexes, in bytes.
    """

    releases: tuple[Removal, ...]
    kept: tuple[str, ...]
    images: tuple[str, ...] = ()
    images_size: int = 0
    embeddings: tuple[str, ...] = ()
    embeddings_size: int = 0
    in_database: tuple[str, ...] = ()
    in_database_size: int = 0

    @property
    def size(self) -> int:
        """Bytes that are freed on storage."""
        releases = sum(removal.size for removal in self.releases)
        return releases + self.images_size + self.embeddings_size


def plan_pruning(
    storage: Storage,
    *,
    keep: int = DEFAULT_KEEP,
    grace: timedelta = DEFAULT_GRACE,
    images: bool = False,
    embeddings: bool = False,
    now: datetime | None = None,
    database: "Database | None" = None,
) -> Plan:
    """Say what may go.

    The `keep` newest complete releases stay, and so do the current one, the one before it, every
    one that is younger than `grace`, and every one whose name does not tell its age.

    Args:
        storage: the root.
        keep: complete releases, 1 or more.
        grace: how long a publication may take.
        images: whether stored photos that no remaining catalogue has go too. None are stored or
            taken over by a publisher while this runs, or they may be removed under its hands; it
            notices, and says so.
        embeddings: whether what cut-off publications have embedded goes too, where none of them
            was begun or gone on with for `grace`. One that takes longer is under way all the same.
        now: in UTC; None: the present.
        database: where rows of releases may be; those of releases that go, go too.

    Raises:
        RegistryError: `images`, and a release that stays is unfinished or cannot be read; or the
            rows of one lie in a database, and none is told.
        DatabaseError: the database cannot be asked.
        StorageError: the root cannot be read.
    """
    stored = stored_releases(storage)
    # Afterwards: what becomes current meanwhile is then in sight.
    pointer = read_pointer(storage)
    latest = (now or datetime.now(UTC)) - grace
    complete = [each.release_id for each in stored if each.complete]
    stays = {*complete[-keep:], *_served(pointer)}
    goes = [
        each
        for each in stored
        if each.release_id not in stays
        and (made := made_at(each.release_id)) is not None
        and made < latest
    ]
    removals = tuple(
        Removal(
            each.release_id,
            "old" if each.complete else "unfinished",
            each.names,
            _release_size(storage, each),
        )
        for each in goes
    )
    gone = {removal.release_id for removal in removals}
    kept = tuple(release_id for release_id in complete if release_id not in gone)
    rows, rows_size = _rows(storage, removals, database)
    abandoned = _abandoned(storage, latest) if embeddings else {}
    plan = Plan(
        removals,
        kept,
        embeddings=tuple(abandoned),
        embeddings_size=sum(_sizes(storage, list(chain(*abandoned.values())))),
        in_database=rows,
        in_database_size=rows_size,
    )
    if not images:
        return plan
    unfinished = [e.release_id for e in stored if not e.complete and e.release_id not in gone]
    if unfinished:
        raise RegistryError(
            f"{storage.url}: expected no release under way, whose photos might be removed; found "
            f"{', '.join(unfinished)}. Prune without --images, or when it is published."
        )
    orphans = _unused_images(storage, kept, database)
    return replace(plan, images=orphans, images_size=sum(_sizes(storage, orphans)))


def _rows(
    storage: Storage, removals: Sequence[Removal], database: "Database | None"
) -> tuple[tuple[str, ...], int]:
    """Which of these have rows in the database, and the bytes of them."""
    if database is None:
        old = [removal.release_id for removal in removals if removal.reason == "old"]
        for release_id, manifest in read_manifests(storage, old).items():
            if isinstance(manifest, Manifest) and manifest.is_in_database:
                needed(database, release_id)
        return (), 0
    from trainer.release.database import namespaces

    with database.connected() as connection:
        # An unfinished one has no manifest that would tell.
        found = namespaces.present(connection, [removal.release_id for removal in removals])
        return tuple(found), namespaces.size_of(connection, found)


def prune(storage: Storage, plan: Plan, database: "Database | None" = None) -> None:
    """Remove what a plan names: of a release its manifest first, so that it is never half seen.

    Args:
        storage: the root.
        plan: of this root.
        database: as for `plan_pruning`.

    Raises:
        RegistryError: a release of the plan is served now, or one that is not in it has appeared
            while its photos were to go; what was removed until then stays so.
        StorageError: the root cannot be written.
    """
    total = sum(len(removal.names) for removal in plan.releases) + len(plan.images)
    total += len(plan.embeddings)
    with progress_bar("Removing files", total) as bar:
        for removal in plan.releases:
            if removal.release_id in _served(read_pointer(storage)):
                raise RegistryError(
                    f"{storage.url}: release {removal.release_id} was made current or previous "
                    "meanwhile. Prune again."
                )
            rows = database if removal.release_id in plan.in_database else None
            for _ in _remove(storage, removal, rows):
                bar.advance()
        if plan.images:
            there = {each.release_id for each in stored_releases(storage)}
            if strangers := sorted(there - {*plan.kept}):
                raise RegistryError(
                    f"{storage.url}: release {strangers[0]} appeared meanwhile, and may use photos "
                    "that were to go; they stay. Prune again."
                )
            with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
                for _ in pool.map(storage.delete, plan.images):
                    bar.advance()
        for job_id in plan.embeddings:
            for _ in Job(storage, job_id).remove():
                pass
            bar.advance()


def _remove(storage: Storage, removal: Removal, database: "Database | None") -> Iterator[str]:
    manifest = f"{release_prefix(removal.release_id)}/{MANIFEST}"
    if manifest in removal.names:
        storage.delete(manifest)
        yield manifest
    if database is not None:
        # While files are left that tell of it, should this be cut off.
        from trainer.release.database import namespaces

        with database.connected() as connection:
            namespaces.drop_release(connection, removal.release_id)
    others = [name for name in removal.names if name != manifest]
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        pool_of_names = zip(others, pool.map(storage.delete, others), strict=True)
        yield from (name for name, _ in pool_of_names)
    if storage.folder is not None:
        # Empty folders, and what a killed publisher hid.
        shutil.rmtree(storage.folder / release_prefix(removal.release_id), ignore_errors=True)


def _abandoned(storage: Storage, latest: datetime) -> dict[str, list[str]]:
    """Return the files of each job that nobody has set to since then."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in storage.list(EMBEDDINGS):
        names[name.split("/")[1]].append(name)
    return {
        job_id: files
        for job_id, files in names.items()
        if (begun := Job(storage, job_id).begun()) is not None and begun < latest
    }


def _served(pointer: Pointer | None) -> tuple[str, ...]:
    return (pointer.release_id, *pointer.previous[:1]) if pointer else ()


def _release_size(storage: Storage, release: Stored) -> int:
    if storage.folder is not None:
        folder = storage.folder / release_prefix(release.release_id)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(_sizes(storage, release.names))


def _sizes(storage: Storage, names: Sequence[str]) -> list[int]:
    def size(name: str) -> int:
        try:
            return storage.size(name)
        except NotFoundInStorage:
            return 0

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(pool.map(size, names))


def _unused_images(
    storage: Storage, kept: Sequence[str], database: "Database | None"
) -> tuple[str, ...]:
    used: set[str] = set()
    for release_id in kept:
        try:
            used |= photos_of(storage, read_manifest(storage, release_id), database)
        except ReleaseError as error:
            raise RegistryError(
                f"{error.message} So it is not known which photos it uses, and none are removed: "
                "prune without --images."
            ) from error
    return tuple(
        name for name in storage.list(IMAGES) if name.removeprefix(f"{IMAGES}/") not in used
    )
