"""A local folder or gs://bucket/prefix behind the same few verbs."""

from pathlib import Path

from .contract import Conflict, NotFoundInStorage, Storage, StorageError, Version
from .files import remove_abandoned
from .google import RETRY_SECONDS, GoogleStorage
from .local import LocalStorage

__all__ = [
    "Conflict",
    "GoogleStorage",
    "LocalStorage",
    "NotFoundInStorage",
    "Storage",
    "StorageError",
    "Version",
    "open_storage",
    "remove_abandoned",
]


def open_storage(root: str | Path, *, retry_seconds: float = RETRY_SECONDS) -> Storage:
    """Open a folder (made on the first write) or gs://bucket/prefix.

    gs:// opens a client, with its threads and sockets: call this after a fork, never before.
    It honours STORAGE_EMULATOR_HOST, with anonymous credentials.

    Args:
        root: where.
        retry_seconds: how long a request to gs:// is repeated before it counts as failed.

    Raises:
        StorageError: no such kind of root.
    """
    text = str(root)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LocalStorage(Path(text))
    if scheme != "gs":
        raise StorageError(f"{text}: expected a folder or gs://bucket/prefix, found {scheme}://.")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise StorageError(f"{text}: expected gs://bucket/prefix, found no bucket.")
    return GoogleStorage.connect(bucket, prefix.strip("/"), retry_seconds=retry_seconds)
