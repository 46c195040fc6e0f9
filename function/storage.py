"""A local folder or gs://bucket/prefix behind the same few verbs.

    StorageError (Unavailable)    the storage cannot be used: not reached, not allowed, no bucket
    ├── NotFoundInStorage         nothing has that name
    └── Conflict                  compare_and_set lost: the name holds another version

Names are '/'-relative: `releases/20261120/manifest.json`. A name that would leave the root is a
ValueError. Every write is atomic: a reader sees the old bytes or the new ones, never half of them.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NewType, Protocol, runtime_checkable
from uuid import uuid4

from .errors import Unavailable

# What a name holds at one moment: a GCS generation, or the SHA-256 of a local file.
Version = NewType("Version", str)

# How long a request to Google Cloud Storage is repeated before it counts as failed.
GCS_RETRY_SECONDS = 30.0

# Half-written files and lock files are hidden from `list`; no name of ours starts like this.
_HIDDEN = ".~"


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


def open_storage(root: str | Path) -> Storage:
    """Open a folder (made on the first write) or gs://bucket/prefix.

    gs:// opens a client, with its threads and sockets: call this after a fork, never before.
    It honours STORAGE_EMULATOR_HOST, with anonymous credentials.
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
    return GoogleStorage.connect(bucket, prefix.strip("/"))


def _checked(name: str) -> str:
    """Return `name`, or raise ValueError where it could leave the root."""
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name under a root: expected parts joined by single '/'.")
    return name


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
        with _replacing(self._path(name)) as partial:
            partial.write_bytes(data)

    def upload(self, local: Path, name: str) -> None:
        with _replacing(self._path(name)) as partial:
            shutil.copyfile(local, partial)

    def download(self, name: str, local: Path) -> None:
        with self._found(name) as path, _replacing(local) as partial:
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
            if not path.name.startswith(_HIDDEN) and path.is_file()
        )

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def compare_and_set(self, name: str, data: bytes, expected: Version | None) -> Version:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The kernel frees the lock when its holder dies, so a killed writer blocks nobody.
        with path.with_name(f"{_HIDDEN}{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.read_versioned(name)
            if (found[1] if found else None) != expected:
                raise Conflict(f"{path} was changed by another writer.")
            self.write(name, data)
        return _content_version(data)

    def child(self, folder: str) -> "LocalStorage":
        return LocalStorage(self._path(folder))

    def _path(self, name: str) -> Path:
        return self.folder / _checked(name)

    @contextmanager
    def _found(self, name: str) -> Iterator[Path]:
        path = self._path(name)
        try:
            yield path
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFoundInStorage(f"{path} does not exist.") from error


def _content_version(data: bytes) -> Version:
    return Version(hashlib.sha256(data).hexdigest())


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`; on success it is on disk and has taken its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{_HIDDEN}{uuid4().hex}")
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


class GoogleStorage:
    """Objects of a Google Cloud Storage bucket whose names start with one prefix."""

    folder = None

    def __init__(self, bucket: Any, prefix: str, retry: Any) -> None:
        self._bucket = bucket
        self._prefix = _checked(prefix) + "/" if prefix else ""
        self._retry = retry
        self.url = f"gs://{bucket.name}/{prefix}".rstrip("/")

    @classmethod
    def connect(
        cls, bucket: str, prefix: str, *, retry_seconds: float = GCS_RETRY_SECONDS
    ) -> "GoogleStorage":
        from google.cloud import storage
        from google.cloud.storage.retry import DEFAULT_RETRY

        # Else each client starts a thread that asks for the bucket's metadata, for traces that are
        # off, with a permission that a reader of objects lacks.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        with _explained(f"gs://{bucket}"):
            client = storage.Client()
        return cls(client.bucket(bucket), prefix, DEFAULT_RETRY.with_timeout(retry_seconds))

    def read(self, name: str) -> bytes:
        with _explained(self._url(name)):
            return bytes(self._blob(name).download_as_bytes(retry=self._retry))

    def read_versioned(self, name: str) -> tuple[bytes, Version] | None:
        while True:
            blob = self._blob(name)
            try:
                with _explained(self._url(name)):
                    blob.reload(retry=self._retry)
            except NotFoundInStorage:
                return None
            # The blob now asks for this one generation, which is gone if it was replaced between
            # the two requests: look again.
            with suppress(Conflict, NotFoundInStorage), _explained(self._url(name)):
                data = blob.download_as_bytes(
                    if_generation_match=blob.generation, retry=self._retry
                )
                return bytes(data), Version(str(blob.generation))

    def write(
        self,
        name: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        blob = self._blob(name)
        blob.cache_control = cache_control
        with _explained(self._url(name)):
            blob.upload_from_string(data, content_type=content_type, retry=self._retry)

    def upload(self, local: Path, name: str) -> None:
        with _explained(self._url(name)):
            self._blob(name).upload_from_filename(
                str(local), content_type="application/octet-stream", retry=self._retry
            )

    def download(self, name: str, local: Path) -> None:
        with _replacing(local) as partial, _explained(self._url(name)):
            self._blob(name).download_to_filename(str(partial), retry=self._retry)

    def exists(self, name: str) -> bool:
        with _explained(self._url(name)):
            return bool(self._blob(name).exists(retry=self._retry))

    def size(self, name: str) -> int:
        blob = self._blob(name)
        with _explained(self._url(name)):
            blob.reload(retry=self._retry)
        return int(blob.size)

    def list(self, folder: str = "") -> list[str]:
        start = self._prefix + (_checked(folder) + "/" if folder else "")
        with _explained(self.url):
            blobs = self._bucket.list_blobs(prefix=start, retry=self._retry)
            found = [blob.name for blob in blobs]
        return sorted(name.removeprefix(self._prefix) for name in found)

    def delete(self, name: str) -> None:
        with suppress(NotFoundInStorage), _explained(self._url(name)):
            self._blob(name).delete(retry=self._retry)

    def compare_and_set(self, name: str, data: bytes, expected: Version | None) -> Version:
        blob = self._blob(name)
        token = uuid4().hex
        blob.metadata = {"writer": token}
        try:
            with _explained(self._url(name)):
                # Small enough for one request: preconditions of resumable uploads are another path.
                blob.upload_from_string(
                    data,
                    content_type="application/json",
                    if_generation_match=int(expected or 0),  # 0: must not exist
                    retry=self._retry,
                )
        except Conflict:
            # The client repeats a request whose answer was lost; the repeat then meets our own
            # write. The token tells it from another writer's.
            with _explained(self._url(name)):
                blob.reload(retry=self._retry)
            if (blob.metadata or {}).get("writer") != token:
                raise
        return Version(str(blob.generation))

    def child(self, folder: str) -> "GoogleStorage":
        return GoogleStorage(self._bucket, self._prefix + _checked(folder), self._retry)

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._prefix + _checked(name))

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn the client library's errors into ours, which say what to do."""
    from google.api_core import exceptions as api
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption
    from requests.exceptions import RequestException

    try:
        yield
    except api.NotFound as error:
        raise NotFoundInStorage(f"{url} does not exist.") from error
    except api.PreconditionFailed as error:
        raise Conflict(f"{url} was changed by another writer.") from error
    except (api.Forbidden, api.Unauthorized, GoogleAuthError) as error:
        raise StorageError(
            f"{url}: not allowed. Grant this account storage.objectViewer to read, "
            "storage.objectUser to publish; on your own machine run "
            "`gcloud auth application-default login`."
        ) from error
    except DataCorruption as error:
        raise StorageError(f"{url}: came with another checksum than it has in storage.") from error
    except (api.GoogleAPIError, RequestException, OSError) as error:
        raise StorageError(f"{url}: cannot be reached ({type(error).__name__}).") from error
