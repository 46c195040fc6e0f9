"""Google Cloud Storage as storage."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import DeadlineExceeded
from .contract import Conflict, NotFoundInStorage, StorageError, Version, checked
from .files import is_refused, replacing

# How long a request is repeated before it counts as failed.
RETRY_SECONDS = 30.0
# The longest pause between two attempts: storage that comes back is noticed as soon.
MOST_PAUSE_SECONDS = 4.0
# How long a request waits for the next byte before it is repeated. What is written may be large,
# and is answered when all of it is stored.
READ_STALL_SECONDS = 10.0
WRITE_STALL_SECONDS = 60.0


class GoogleStorage:
    """Objects of a Google Cloud Storage bucket whose names start with one prefix."""

    folder = None

    def __init__(
        self,
        bucket: Any,
        prefix: str,
        *,
        retry_seconds: float = RETRY_SECONDS,
        deadline: float = math.inf,
    ) -> None:
        self._bucket = bucket
        self._prefix = checked(prefix) + "/" if prefix else ""
        self._retry_seconds = retry_seconds
        self._deadline = deadline
        self.url = f"gs://{bucket.name}/{prefix}".rstrip("/")

    @classmethod
    def connect(
        cls, bucket: str, prefix: str, *, retry_seconds: float = RETRY_SECONDS
    ) -> "GoogleStorage":
        from google.cloud import storage

        # Else each client starts a thread that asks for the bucket's metadata, for traces that are
        # off, with a permission that a reader of objects lacks.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        with _explained(f"gs://{bucket}"):
            client = storage.Client()
        return cls(client.bucket(bucket), prefix, retry_seconds=retry_seconds)

    def read(self, name: str) -> bytes:
        received = _Received(self._deadline)
        with _explained(self._url(name)):
            self._blob(name).download_to_file(received, **self._patience())
        return received.getvalue()

    def read_versioned(self, name: str) -> tuple[bytes, Version] | None:
        while True:
            blob = self._blob(name)
            try:
                with _explained(self._url(name)):
                    blob.reload(**self._patience())
            except NotFoundInStorage:
                return None
            # The blob now asks for this one generation, which is gone if it was replaced between
            # the two requests: look again.
            with suppress(Conflict, NotFoundInStorage), _explained(self._url(name)):
                data = blob.download_as_bytes(
                    if_generation_match=blob.generation, **self._patience()
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
            blob.upload_from_string(
                data, content_type=content_type, **self._patience(WRITE_STALL_SECONDS)
            )

    def upload(self, local: Path, name: str) -> None:
        with _explained(self._url(name)):
            self._blob(name).upload_from_filename(
                str(local),
                content_type="application/octet-stream",
                **self._patience(WRITE_STALL_SECONDS),
            )

    def download(self, name: str, local: Path) -> None:
        with replacing(local) as partial, _explained(self._url(name)):
            self._blob(name).download_to_filename(str(partial), **self._patience())

    def exists(self, name: str) -> bool:
        with _explained(self._url(name)):
            return bool(self._blob(name).exists(**self._patience()))

    def size(self, name: str) -> int:
        blob = self._blob(name)
        with _explained(self._url(name)):
            blob.reload(**self._patience())
        return int(blob.size)

    def list(self, folder: str = "") -> list[str]:
        return list(self.sizes(folder))

    def sizes(self, folder: str = "") -> dict[str, int]:
        start = self._prefix + (checked(folder) + "/" if folder else "")
        with _explained(self.url):
            blobs = self._bucket.list_blobs(prefix=start, **self._patience())
            found = {blob.name.removeprefix(self._prefix): int(blob.size) for blob in blobs}
        return dict(sorted(found.items()))

    def delete(self, name: str) -> None:
        with suppress(NotFoundInStorage), _explained(self._url(name)):
            self._blob(name).delete(**self._patience())

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
                    **self._patience(WRITE_STALL_SECONDS),
                )
        except Conflict:
            # The client repeats a request whose answer was lost; the repeat then meets our own
            # write. The token tells it from another writer's.
            with _explained(self._url(name)):
                blob.reload(**self._patience())
            if (blob.metadata or {}).get("writer") != token:
                raise
        return Version(str(blob.generation))

    def child(self, folder: str) -> "GoogleStorage":
        return self._with(self._prefix + checked(folder), self._deadline)

    def until(self, deadline: float) -> "GoogleStorage":
        return self._with(self._prefix.rstrip("/"), min(deadline, self._deadline))

    def _with(self, prefix: str, deadline: float) -> "GoogleStorage":
        return GoogleStorage(
            self._bucket, prefix, retry_seconds=self._retry_seconds, deadline=deadline
        )

    def _patience(self, stall_seconds: float = READ_STALL_SECONDS) -> dict[str, Any]:
        """How long to try, in the client library's words; DeadlineExceeded where time is up.

        Half of the time that is left is for attempts to begin in, half for the last one to end.
        """
        from google.cloud.storage.retry import DEFAULT_RETRY

        half = (self._deadline - time.monotonic()) / 2
        if half <= 0:
            raise _too_slow()
        retry = DEFAULT_RETRY.with_delay(maximum=MOST_PAUSE_SECONDS)
        return {
            "retry": retry.with_timeout(min(self._retry_seconds, half)),
            "timeout": min(stall_seconds, half),
        }

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._prefix + checked(name))

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"


class _Received(BytesIO):
    """Takes what is downloaded, and no more after the deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def write(self, data: Any, /) -> int:
        if time.monotonic() > self._deadline:
            raise _too_slow()
        return super().write(data)


def _too_slow() -> DeadlineExceeded:
    return DeadlineExceeded(
        "What this needs did not come from storage in time. Try again in a moment, or with a "
        "smaller photo."
    )


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
        if isinstance(error, OSError) and is_refused(error):
            raise  # a disk of this machine
        cause = getattr(error, "cause", None) or error
        raise StorageError(f"{url}: cannot be reached ({type(cause).__name__}).") from error
