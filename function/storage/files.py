"""Files that appear complete or not at all."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from .contract import StorageError

# Half-written files and lock files are hidden from `list`; no name of ours starts like this.
HIDDEN = ".~"

_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),  # full
    *(errno.EROFS, errno.EACCES, errno.EPERM),  # not to be written
    errno.EIO,
}


def is_refused(error: OSError) -> bool:
    """Say whether a disk would not take what was written: full, read-only or broken."""
    return error.errno in _REFUSALS


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`; on success it is on disk and has taken its place.

    Raises:
        StorageError: the disk does not take it. `path` is as it was, and nothing else is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    partial = path.with_name(f"{HIDDEN}{uuid4().hex}")
    try:
        with _held(partial):
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
    except OSError as error:
        if is_refused(error):
            raise _unwritable(path, error) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def _held(path: Path) -> BinaryIO:
    """Create a file that `remove_abandoned` leaves alone for as long as this process lives."""
    while True:
        file = path.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between these two calls the file looked abandoned, and may have been removed.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def remove_abandoned(folder: Path) -> None:
    """Remove the files below `folder` that killed processes have left half-written."""
    for partial in folder.rglob(f"{HIDDEN}*"):
        with suppress(OSError), partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Else another one was made under its name meanwhile.
            if os.fstat(file.fileno()).st_nlink:
                partial.unlink()


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror}). Free space there, or choose another folder;"
        " that of a function's copies from gs:// is LOOKALIKE_CACHE_DIR."
    )


def _sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
