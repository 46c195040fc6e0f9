"""The function on gs:// while the storage fails: as it starts, and after it has loaded."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from function.release import IMAGES
from function.storage import open_storage
from tests.answers import PHOTO, assert_refused, picture, results
from tests.faulty_storage import FaultyStorage, faulty_storage
from tests.gcs import make_bucket, upload_folder
from tests.releases import TinyRelease
from tests.server import Answer, RunningFunction, run_function
from tests.waiting import eventually

SILENT_SECONDS = 600.0
DEADLINE_SECONDS = 2.0
# What a request may take that is bounded by the deadline, on a machine that does other things too.
BOUND_SECONDS = 15.0
SOURCE = "photos/mine.jpg"


@dataclass(frozen=True)
class Shop:
    """A function whose root lies behind a network that fails.

    Attributes:
        early: what it answered while nothing could be read.
        failed: kinds of failures that its start has met.
    """

    running: RunningFunction
    network: FaultyStorage
    bucket: str
    early: tuple[Answer, Answer]
    failed: tuple[str, ...]


@pytest.fixture(scope="module")
def started(
    gcs_server: str, tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    bucket = make_bucket(gcs_server)
    folder = tmp_path_factory.mktemp("outage")
    with faulty_storage(gcs_server) as network, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", network.url)
        upload_folder(tiny_release.root, bucket, without={"checkpoint"})
        open_storage(bucket).write(SOURCE, PHOTO)
        network.fail("503")
        with run_function(
            folder / "log.txt",
            root=bucket,
            cache_dir=str(folder / "cache"),
            source_buckets=bucket.removeprefix("gs://"),
            deadline_seconds=str(DEADLINE_SECONDS),
            loading_wait_seconds="0",
        ) as running:
            eventually(lambda: "503" in [kind for kind, _ in network.failed])
            early = (running.search(PHOTO), running.get("/health/ready"))
            network.heal()
            for kind in ("429", "reset", "slow"):
                network.fail(kind, count=1, delay=0.5)
            network.fail("truncate", count=1, only="index/dataset.npy")
            network.fail("corrupt", count=1, only="embedder.onnx")
            network.fail("trickle", count=1, only="catalog.sqlite", delay=0.5)
            running.wait_until_ready()
            failed = tuple(kind for kind, _ in network.failed)
            network.heal()
            yield Shop(running, network, bucket, early, failed)


@pytest.fixture
def shop(started: Shop) -> Iterator[Shop]:
    yield started
    started.network.heal()


def found(answer: Answer) -> list[tuple[str, float]]:
    return [(one["product"]["name"], one["score"]) for one in results(answer)]


def by_address(running: RunningFunction, address: str) -> Answer:
    return running.search_json({"image": {"source": {"imageUri": address}}})


def test_without_storage_it_says_when_to_come_again(shop: Shop) -> None:
    for answer in shop.early:
        assert_refused(answer, 503, "LOADING")
        assert int(answer.headers["Retry-After"]) > 0


def test_it_starts_through_every_kind_of_failure_and_serves_the_right_release(
    shop: Shop, running_function: RunningFunction
) -> None:
    assert set(shop.failed) == {"503", "429", "reset", "slow", "truncate", "corrupt", "trickle"}
    for photo in (PHOTO, picture(quality=50)):
        assert found(shop.running.search(photo)) == found(running_function.search(photo))
    told = [line["message"] for line in shop.running.log_lines()]
    (refusal,) = [message for message in told if "No release was loaded" in message]
    assert "embedder.onnx: came with another checksum" in refusal


def test_once_loaded_it_answers_without_storage(shop: Shop) -> None:
    before = found(shop.running.search(PHOTO))
    shop.network.fail("reset")
    asked = len(shop.network.asked)
    assert found(shop.running.search(PHOTO)) == before
    assert shop.running.get("/health/ready").status == 200
    for path in ("/v1/products", "/v1/products/p1", "/v1/index"):
        assert shop.running.get(path).status == 200
    similar = shop.running.request("POST", "/v1/products/p1:similar", b"")
    assert results(similar)
    assert len(shop.network.asked) == asked


@pytest.mark.parametrize("kind", ["reset", "slow"])
def test_a_match_is_explained_without_the_products_photo(shop: Shop, kind: Any) -> None:
    shop.network.fail(kind, delay=SILENT_SECONDS)
    for result in results(shop.running.search(PHOTO, explain="true")):
        assert set(result["explanation"]) == {"photo"}
    warned = [line for line in shop.running.log_lines() if "explained without" in line["message"]]
    assert warned
    shop.network.heal()
    for result in results(shop.running.search(PHOTO, explain="true")):
        if result["product"]["name"] != "products/p0":
            assert set(result["explanation"]) == {"photo", "product"}


@pytest.mark.parametrize("kind", ["503", "reset", "slow"])
def test_what_has_to_be_read_is_refused_within_the_deadline(
    shop: Shop, tiny_release: TinyRelease, kind: Any
) -> None:
    stored = next((tiny_release.root / IMAGES).glob("*.jpg"))
    shop.network.fail(kind, delay=SILENT_SECONDS)
    start = time.monotonic()
    photo = by_address(shop.running, f"{shop.bucket}/{SOURCE}")
    image = shop.running.get(f"/v1/images/{stored.stem}")
    assert time.monotonic() - start < 2 * BOUND_SECONDS
    for answer in (photo, image):
        error = assert_refused(answer, 503, "STORAGE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert shop.bucket not in error["message"]
    shop.network.heal()
    assert found(by_address(shop.running, f"{shop.bucket}/{SOURCE}"))
    assert shop.running.get(f"/v1/images/{stored.stem}").body == stored.read_bytes()


def test_a_photo_that_comes_too_slowly_is_answered_504(shop: Shop) -> None:
    large = picture(quality=100) + bytes(200_000)
    open_storage(shop.bucket).write("photos/large.jpg", large)
    shop.network.fail("trickle", delay=20, only="GET /download")
    start = time.monotonic()
    answer = by_address(shop.running, f"{shop.bucket}/photos/large.jpg")
    assert time.monotonic() - start < BOUND_SECONDS
    assert_refused(answer, 504, "DEADLINE_EXCEEDED")
