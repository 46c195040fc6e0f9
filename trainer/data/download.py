"""Large files from the web: resumable, checked, never half a file under the whole one's name."""

import hashlib
import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from trainer.errors import CatalogError
from trainer.progress import progress_bar

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60.0
# Broken connections in a row that bring nothing; one that brings something starts a new count.
FRUITLESS_ATTEMPTS = 3

_NOT_SATISFIABLE = 416


def download(url: str, path: Path) -> Path:
    """Fetch `url` into `<path>.partial`, going on where an earlier call ended.

    Returns:
        The partial file, now whole by its length: check it, then give it its name.

    Raises:
        CatalogError: the server refuses, or the connection breaks again and again; what came so
            far is kept.
    """
    partial = path.with_name(f"{path.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    fruitless = 0
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            if _fetch(url, partial, before):
                return partial
            problem = "the connection ended early"
        except HTTPError as error:
            raise CatalogError(f"{url} answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            problem = str(error)
        after = partial.stat().st_size if partial.exists() else 0
        fruitless = 0 if after > before else fruitless + 1
        if fruitless == FRUITLESS_ATTEMPTS:
            raise CatalogError(
                f"{url} cannot be fetched ({problem}); {after:,} bytes are kept in {partial}: run "
                "the same command again to go on, or fetch the file yourself and name it"
            )


def _fetch(url: str, partial: Path, offset: int) -> bool:
    """Append what is missing; return whether nothing is."""
    request = Request(url, headers={"Range": f"bytes={offset}-"} if offset else {})  # noqa: S310
    try:
        # The scheme is that of a published data set's address, never a user's.
        response = urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except HTTPError as error:
        # "bytes */1234": all of it is here, or more than there is.
        if error.code == _NOT_SATISFIABLE and offset:
            if error.headers.get("Content-Range", "").endswith(f"/{offset}"):
                return True
            partial.unlink()
            return False
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        start = offset if resumed else 0
        length = response.headers["Content-Length"]
        if length is None:
            raise CatalogError(f"{url} does not say its length: fetch the file yourself, name it")
        total = start + int(length)
        with (
            partial.open("ab" if resumed else "wb") as file,
            _megabytes("Downloading", total, start) as show,
        ):
            done = start
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                show(done)
    return done == total


def check_md5(path: Path, expected: str) -> None:
    """Compare a file with its published checksum.

    Raises:
        CatalogError: they differ.
    """
    digest = hashlib.md5(usedforsecurity=False)
    size = path.stat().st_size
    with path.open("rb") as file, _megabytes("Checking", size, 0) as show:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            show(file.tell())
    if digest.hexdigest() != expected:
        raise CatalogError(
            f"{path}: expected md5 {expected}, found {digest.hexdigest()} ({size:,} bytes): it is "
            "incomplete or another file; download it again"
        )


@contextmanager
def _megabytes(label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """A bar over `total` bytes; what it yields is called with how many are done."""
    with progress_bar(label, total >> 20, completed=done >> 20) as bar:
        shown = done >> 20

        def show(done: int) -> None:
            nonlocal shown
            bar.advance((done >> 20) - shown, note="MB")
            shown = done >> 20

        yield show
