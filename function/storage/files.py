"""Files that appear complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

# Half-written files and lock files are hidden from `list`; no name of ours starts like this.
HIDDEN = ".~"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`; on success it is on disk and has taken its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{HIDDEN}{uuid4().hex}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
