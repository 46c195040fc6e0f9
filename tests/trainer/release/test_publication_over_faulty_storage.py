"""Publishing and fetching over a storage that fails as clouds do: done, or said, never half."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from function.errors import ReleaseError
from function.manifest import MANIFEST
from function.release import (
    IMAGES,
    LocalRelease,
    Pointer,
    current_release_id,
    fetch_release,
    list_releases,
    read_pointer,
)
from function.storage import GoogleStorage, Storage, StorageError
from function.storage.google import RETRY_SECONDS
from tests.faulty_storage import FaultyStorage, Kind, faulty_storage
from tests.releases import TinyRelease
from trainer.release.publication import build_and_publish, open_root
from trainer.release.registry.verification import verify_release

NEW = "20270101T000000.000Z-abcdef01"


@pytest.fixture
def proxy(
    gcs_emulator: str, gcs_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyStorage]:
    with faulty_storage(gcs_server) as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


@pytest.fixture
def bucket(tiny_release: TinyRelease, gcs_emulator: str, proxy: FaultyStorage) -> Storage:
    """A bucket with the photos of the tiny release; who uses it does not wait long."""
    storage = GoogleStorage.connect(gcs_emulator.removeprefix("gs://"), "", retry_seconds=6)
    for photo in (tiny_release.root / IMAGES).iterdir():
        storage.upload(photo, f"{IMAGES}/{photo.name}")
    return storage


@pytest.fixture
def built(tiny_release: TinyRelease, tmp_path: Path) -> LocalRelease:
    folder = tmp_path / "built"
    shutil.copytree(tiny_release.root / "releases" / tiny_release.release_id, folder)
    manifest = tiny_release.manifest
    manifest = replace(manifest, release_id=NEW)
    (folder / MANIFEST).write_bytes(manifest.to_json())
    return LocalRelease(manifest, folder)


def publish(built: LocalRelease, storage: Storage) -> str:
    pointer: Pointer | None = read_pointer(storage)
    return build_and_publish(storage, pointer, lambda folder: built)


def check_whole(storage: Storage, cache: Path) -> None:
    """Every release that can be seen has all its bytes."""
    for release_id in list_releases(storage):
        fetch_release(storage, release_id, cache, engine=None)
    assert current_release_id(storage) in (None, *list_releases(storage))


def test_what_passes_by_is_waited_for(
    proxy: FaultyStorage, bucket: Storage, built: LocalRelease, tmp_path: Path
) -> None:
    proxy.fail("503", 1, only="embedder.onnx")
    proxy.fail("429", 1, only="golden.npz")
    proxy.fail("reset", 1, only="catalog.sqlite")
    proxy.fail("lost", 1, only="index/dataset.npy")
    proxy.fail("lost", 1, only="current.json {")
    proxy.fail("truncate", 1, only="tuning.png")
    proxy.fail("slow", 1, only=MANIFEST, delay=0.2)
    publish(built, bucket)
    assert {kind for kind, _ in proxy.failed} >= {"503", "429", "reset", "lost", "slow"}
    proxy.heal()
    assert current_release_id(bucket) == NEW
    check_whole(bucket, tmp_path / "cache")


@pytest.mark.parametrize("only", ["embedder.onnx", MANIFEST, "uploadType=multipart"])
def test_an_outage_is_said_and_the_publication_completes_afterwards(
    proxy: FaultyStorage, bucket: Storage, built: LocalRelease, tmp_path: Path, only: str
) -> None:
    impatient = GoogleStorage.connect(bucket.url.removeprefix("gs://"), "", retry_seconds=0.5)
    proxy.fail("503", only=only)
    with pytest.raises(StorageError, match="cannot be reached"):
        publish(built, impatient)
    proxy.heal()
    assert list_releases(bucket) == []
    assert current_release_id(bucket) is None
    assert publish(built, bucket) == NEW
    check_whole(bucket, tmp_path / "cache")


def test_bytes_that_changed_on_their_way_up_are_found(
    proxy: FaultyStorage, bucket: Storage, built: LocalRelease, tmp_path: Path
) -> None:
    """The cloud compares the checksum that the client sends; the emulator takes what comes."""
    proxy.fail("corrupt", 1, only="embedder.onnx")
    publish(built, bucket)
    proxy.heal()
    (problem,) = verify_release(bucket, NEW).problems
    assert problem.startswith("embedder.onnx: expected SHA-256")
    with pytest.raises(ReleaseError, match=r"embedder\.onnx"):
        fetch_release(bucket, NEW, tmp_path / "cache", engine="openvino")
    publish(built, bucket)
    check_whole(bucket, tmp_path / "cache")


@pytest.mark.parametrize("kind", ["503", "429", "reset", "slow", "truncate"])
def test_a_fetch_survives_what_passes_by(
    proxy: FaultyStorage, bucket: Storage, built: LocalRelease, tmp_path: Path, kind: Kind
) -> None:
    publish(built, bucket)
    proxy.fail(kind, 1, only="embedder.onnx", delay=0.2)
    release = fetch_release(bucket, NEW, tmp_path / "cache", engine=None)
    assert [kind for kind, _ in proxy.failed] == [kind]
    assert (release.folder / "embedder.onnx").read_bytes() == (
        built.folder / "embedder.onnx"
    ).read_bytes()


@pytest.mark.parametrize("kind", ["truncate", "corrupt", "reset"])
def test_a_fetch_that_never_succeeds_is_said_and_leaves_nothing_half(
    proxy: FaultyStorage, bucket: Storage, built: LocalRelease, tmp_path: Path, kind: Kind
) -> None:
    publish(built, bucket)
    impatient = GoogleStorage.connect(bucket.url.removeprefix("gs://"), "", retry_seconds=0.5)
    proxy.fail(kind, only="embedder.onnx")
    with pytest.raises(StorageError):
        fetch_release(impatient, NEW, tmp_path / "cache", engine="openvino")
    assert not list((tmp_path / "cache").rglob("embedder.onnx*"))
    assert not list((tmp_path / "cache").rglob(".~*"))
    proxy.heal()
    fetch_release(impatient, NEW, tmp_path / "cache", engine="openvino")


@pytest.mark.slow
def test_an_outage_that_lasts_longer_than_a_function_would_wait_is_outlasted(
    proxy: FaultyStorage, bucket: Storage, built: LocalRelease, tmp_path: Path
) -> None:
    storage, pointer = open_root(bucket.url)

    def build(_: Path) -> LocalRelease:
        """Made while the storage goes away."""
        proxy.fail("503", until=time.monotonic() + 1.5 * RETRY_SECONDS)
        return built

    began = time.monotonic()
    assert build_and_publish(storage, pointer, build) == current_release_id(bucket) == NEW
    assert time.monotonic() - began > 1.5 * RETRY_SECONDS
    check_whole(bucket, tmp_path / "cache")
