"""What every storage does, and what can go wrong.

    StorageError (Unavailable)    the storage cannot be used: not reached, not allowed, no bucket
    ├── NotFoundInStorage         nothing has that name
    └── Conflict                  compare_and_set lost: the name holds another version

Names are '/'-relative: `releases/20261120/manifest.json`. A name that would leave the root is a
ValueError. Every write is atomic: a reader sees the old bytes or the new ones, never half of them.
"""

from pathlib import Path
from typing import NewType, Protocol, runtime_checkable

from ..errors import Unavailable

# What a name holds at one moment: a GCS generation, or the SHA-256 of a local file.
Version = NewType("Version", str)


class StorageError(Unavailable):
    """The storage cannot be used: not reached, not allowed, or no such bucket."""

    default_reason = "STORAGE_UNAVAILABLE"
    retry_after_seconds = 10


class NotFoundInStorage(StorageError):
    """Nothing has that name."""

    default_reason = "NOT_IN_STORAGE"


class Conflict(StorageError):
    """compare_and_set lost: the name holds another version than the one expected."""

    default_reason = "STORAGE_CONFLICT"


@runtime_checkable
class Storage(Protocol):
    """Named bytes under one root. Safe to use from several threads."""

    @property
    def url(self) -> str:
        """The root, as a person would write it: an absolute folder or gs://bucket/prefix."""

    @property
    def folder(self) -> Path | None:
        """The root where it is a local folder: its files can be used in place."""

    def read(self, name: str) -> bytes:
        """Return the bytes; NotFoundInStorage where there are none."""

    def read_versioned(self, name: str) -> tuple[bytes, Version] | None:
        """Return the bytes and what `compare_and_set` needs to replace them; None where absent."""

    def write(
        self,
        name: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Replace the bytes, atomically. A local folder keeps neither type nor caching."""

    def upload(self, local: Path, name: str) -> None:
        """Copy a local file, of any size, to `name`."""

    def download(self, name: str, local: Path) -> None:
        """Copy `name` to a local file, which appears complete or not at all."""

    def exists(self, name: str) -> bool:
        """Say whether `name` holds bytes."""

    def size(self, name: str) -> int:
        """Return the number of bytes; NotFoundInStorage where there are none."""

    def list(self, folder: str = "") -> list[str]:
        """Return all names below `folder`, at any depth, sorted."""

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the number of bytes of all names below `folder`, in the order of `list`."""

    def delete(self, name: str) -> None:
        """Remove `name`; nothing happens where it is absent."""

    def compare_and_set(self, name: str, data: bytes, expected: Version | None) -> Version:
        """Replace the bytes only where `name` still holds `expected`.

        Args:
            name: what to replace; small, as a pointer.
            data: the new bytes.
            expected: from `read_versioned`; None where the name must not exist yet.

        Returns:
            The new version.

        Raises:
            Conflict: another writer came first. Exactly one of many racing writers succeeds.
        """

    def child(self, folder: str) -> "Storage":
        """Return the storage whose root is `folder` within this one."""

    def until(self, deadline: float) -> "Storage":
        """Return the same storage, for one who waits no longer than until a `time.monotonic`.

        Its verbs give up by then, as a StorageError where the storage fails or is silent, as
        DeadlineExceeded where it is too slow. A local folder is never waited for.
        """


def checked(name: str) -> str:
    """Return `name`, or raise ValueError where it could leave the root."""
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name under a root: expected parts joined by single '/'.")
    return name
