"""The smoke test: a function's address and a root go in; whether the one serves the other."""

import base64
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from function.release import current_release_id, read_manifest
from function.storage import open_storage
from trainer.errors import LookalikeError
from trainer.progress import console, track
from trainer.smoke.client import FunctionClient
from trainer.smoke.expectation import Expectation, expectations, fetch_parts


@dataclass(frozen=True)
class Answered:
    """The best result for one golden photo.

    Attributes:
        product: its id.
        score: its cosine similarity.
        ms: from sending the photo to the answer.
    """

    product: str
    score: float
    ms: float


@dataclass(frozen=True)
class SmokeReport:
    """What passed.

    Attributes:
        url: the function.
        release_id: what it serves.
        ready_seconds: until it was ready.
        photos: one for each golden photo.
    """

    url: str
    release_id: str
    ready_seconds: float
    photos: tuple[Answered, ...]


def smoke(url: str, root: str, *, headers: Mapping[str, str], wait_seconds: float) -> SmokeReport:
    """Wait until a function is ready and serves the current release; compare its answers.

    Args:
        url: the function's address, as https://host.
        root: where its releases are: a folder or gs://bucket/prefix.
        headers: sent with every request: a token, a key.
        wait_seconds: how long it may take to be ready and to serve the current release.

    Raises:
        LookalikeError: there is no release; it is not ready in time, refuses, or answers otherwise
            than the release says: what was expected and what was found.
        FunctionError: the root or its release cannot be read.
    """
    client = FunctionClient(url, headers=headers, wait_seconds=wait_seconds)
    storage = open_storage(root)
    start = time.monotonic()
    with console.status(f"Waiting for {client.url}…"):
        client.get("/health/ready")
        ready_seconds = time.monotonic() - start
        release_id = ""

        def wrong_release() -> str | None:
            nonlocal release_id
            # Read each time: a publisher may move it meanwhile, and the function follows.
            release_id = current_release_id(storage) or ""
            if not release_id:
                raise LookalikeError(f"Expected a release in {root}; found none.")
            found = client.get("/v1/index").get("release")
            return (
                None
                if found == release_id
                else (f"expected release {release_id}, which is current in {root}; found {found}.")
            )

        client.wait_until(wrong_release)
    manifest = read_manifest(storage, release_id)
    with tempfile.TemporaryDirectory(prefix="lookalike-smoke-") as folder:
        photos = tuple(
            _ask(client, number, wanted)
            for number, wanted in enumerate(
                track(
                    expectations(fetch_parts(storage, manifest, Path(folder))),
                    "Golden photos",
                    manifest.golden.photos,
                )
            )
        )
    return SmokeReport(client.url, release_id, round(ready_seconds, 3), photos)


def _ask(client: FunctionClient, number: int, wanted: Expectation) -> Answered:
    content = base64.b64encode(wanted.png).decode()
    start = time.monotonic()
    answer = client.post("/v1/products:search", {"image": {"content": content}, "pageSize": 1})
    ms = round(1000 * (time.monotonic() - start), 1)
    try:
        best = answer["productSearchResults"]["results"][0]
        product, score = best["product"]["name"].removeprefix("products/"), float(best["score"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise LookalikeError(
            f"Golden photo {number}: expected a result; found none in the answer."
        ) from error
    if not any(outcome.allows(score, product) for outcome in wanted.outcomes):
        raise LookalikeError(
            f"Golden photo {number}: expected a best score of "
            f"{', or of '.join(map(str, wanted.outcomes))}; found {score:.4f} for {product}. "
            "The function does not answer as the release says: send it no traffic."
        )
    return Answered(product, score, ms)
