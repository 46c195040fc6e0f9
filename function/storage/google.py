"""Google Cloud Storage as storage."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from .contract import Conflict, NotFoundInStorage, StorageError, Version, checked
from .files import replacing

# How long a request to Google Cloud Storage is repeated before it counts as failed.
GCS_RETRY_SECONDS = 30.0


class GoogleStorage:
    """Objects of a Google Cloud Storage bucket whose names start with one prefix."""

    folder = None

    def __init__(self, bucket: Any, prefix: str, retry: Any) -> None:
        self._bucket = bucket
        self._prefix = checked(prefix) + "/" if prefix else ""
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
        with replacing(local) as partial, _explained(self._url(name)):
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
        start = self._prefix + (checked(folder) + "/" if folder else "")
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
        return GoogleStorage(self._bucket, self._prefix + checked(folder), self._retry)

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._prefix + checked(name))

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn the client library's errors into ours, which say what to do."""
    from google.api_core import exceptions as api
    from google.auth.exceptions import GoogleAuthError
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
    except (api.GoogleAPIError, RequestException, OSError) as error:
        raise StorageError(f"{url}: cannot be reached ({type(error).__name__}).") from error
