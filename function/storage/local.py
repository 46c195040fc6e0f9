"""A folder as storage."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .contract import Conflict, NotFoundInStorage, Version, checked
from .files import HIDDEN, replacing


class LocalStorage:
    """A folder. Replacement is by rename, and by a lock file where versions are compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.url = str(self.folder)

    def read(self, name: str) -> bytes:
        with self._found(name) as path:
            return path.read_bytes()

    def read_versioned(self, name: str) -> tuple[bytes, Version] | None:
        try:
            data = self.read(name)
        except NotFoundInStorage:
            return None
        return data, _content_version(data)

    def write(
        self,
        name: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        with replacing(self._path(name)) as partial:
            partial.write_bytes(data)

    def upload(self, local: Path, name: str) -> None:
        with replacing(self._path(name)) as partial:
            shutil.copyfile(local, partial)

    def download(self, name: str, local: Path) -> None:
        with self._found(name) as path, replacing(local) as partial:
            shutil.copyfile(path, partial)

    def exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def size(self, name: str) -> int:
        with self._found(name) as path:
            return path.stat().st_size

    def list(self, folder: str = "") -> list[str]:
        start = self._path(folder) if folder else self.folder
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in start.rglob("*")
            if not path.name.startswith(HIDDEN) and path.is_file()
        )

    def sizes(self, folder: str = "") -> dict[str, int]:
        return {name: self.size(name) for name in self.list(folder)}

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def compare_and_set(self, name: str, data: bytes, expected: Version | None) -> Version:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The kernel frees the lock when its holder dies, so a killed writer blocks nobody.
        with path.with_name(f"{HIDDEN}{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.read_versioned(name)
            if (found[1] if found else None) != expected:
                raise Conflict(f"{path} was changed by another writer.")
            self.write(name, data)
        return _content_version(data)

    def child(self, folder: str) -> "LocalStorage":
        return LocalStorage(self._path(folder))

    def until(self, deadline: float) -> "LocalStorage":
        return self

    def _path(self, name: str) -> Path:
        return self.folder / checked(name)

    @contextmanager
    def _found(self, name: str) -> Iterator[Path]:
        path = self._path(name)
        try:
            yield path
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFoundInStorage(f"{path} does not exist.") from error


def _content_version(data: bytes) -> Version:
    return Version(hashlib.sha256(data).hexdigest())
