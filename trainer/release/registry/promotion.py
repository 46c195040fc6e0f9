"""Which release is served: chosen by a person, in place of the one that was published last."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from function.release import Pointer, list_releases, previous_of, read_pointer, set_current
from function.storage import Conflict, Storage
from trainer.errors import RegistryError
from trainer.release.registry.verification import verify_release

if TYPE_CHECKING:
    from trainer.release.database.connection import Database


@dataclass(frozen=True)
class Move:
    """The pointer's way.

    Attributes:
        before: what was current; None where nothing was.
        after: what is current now, or would be.
        previous: what a rollback would lead to from there, the latest first.
        missing: releases that a rollback passed over, as they are no longer there.
    """

    before: str | None
    after: str
    previous: tuple[str, ...]
    missing: tuple[str, ...] = ()


def promote(
    storage: Storage,
    release_id: str,
    *,
    verify: bool = True,
    dry_run: bool = False,
    database: "Database | None" = None,
) -> Move:
    """Make a release the current one.

    Args:
        storage: the root.
        release_id: a complete release.
        verify: whether all of it is read, checked and tried before.
        dry_run: change nothing.
        database: where its rows may be.

    Raises:
        RegistryError: it is not there, does not serve, or a publisher moved the pointer meanwhile.
        DatabaseError: its rows are to be verified, and the database cannot be asked.
    """
    pointer = read_pointer(storage)
    if release_id not in (releases := list_releases(storage)):
        raise RegistryError(
            f"{storage.url}: expected a complete release {release_id}; found "
            f"{', '.join(reversed(releases)) or 'none'}."
        )
    return _move(storage, pointer, release_id, (), verify, dry_run, database)


def roll_back(
    storage: Storage,
    *,
    verify: bool = True,
    dry_run: bool = False,
    database: "Database | None" = None,
) -> Move:
    """Make the release current that was so before this one; a further call goes further back.

    The release that is left is forgotten: no rollback comes to it again, but `promote` does.

    Raises:
        RegistryError: there is nothing to go back to; else as `promote`.
    """
    pointer = read_pointer(storage)
    if pointer is None:
        raise RegistryError(f"{storage.url}: expected a current release; found none.")
    releases = set(list_releases(storage))
    there = [release_id for release_id in pointer.previous if release_id in releases]
    if not there:
        raise RegistryError(
            f"{storage.url}: expected a release that was current before {pointer.release_id}; "
            "found none to go back to. Choose one: lookalike releases promote ID --root "
            f"{storage.url}"
        )
    missing = pointer.previous[: pointer.previous.index(there[0])]
    return _move(storage, pointer, there[0], missing, verify, dry_run, database)


def _move(
    storage: Storage,
    pointer: Pointer | None,
    release_id: str,
    missing: tuple[str, ...],
    verify: bool,
    dry_run: bool,
    database: "Database | None",
) -> Move:
    if verify and (problems := verify_release(storage, release_id, database=database).problems):
        raise RegistryError("\n  ".join((f"Release {release_id} would not serve:", *problems)))
    before = pointer.release_id if pointer else None
    if dry_run:
        return Move(before, release_id, previous_of(pointer, release_id), missing)
    try:
        set_current(storage, release_id, pointer.version if pointer else None)
    except Conflict as error:
        raise RegistryError(
            f"{storage.url}: a publisher made another release current meanwhile. Look again: "
            f"lookalike releases list --root {storage.url}"
        ) from error
    return Move(before, release_id, previous_of(pointer, release_id), missing)
