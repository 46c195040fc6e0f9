"""Publications that race, are cut off, or lose photos: what is in sight is whole."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from function.loading import load_search_engine
from function.manifest import MANIFEST
from function.release import IMAGES, current_release_id, list_releases, read_manifest
from function.storage import LocalStorage, Storage, open_storage
from tests.releases import IMAGE_SIZE, TinyRelease, write_tiny_catalog
from trainer.data.records import Catalog
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.release import build, publication
from trainer.release import publish as publish_module
from trainer.release.publish import publish
from trainer.release.shards.job import EMBEDDINGS


def test_of_racing_publishers_one_is_current_and_all_are_kept(
    storage_root: str, tiny_release: TinyRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_module, "build_release", prebuilt(tiny_release))
    store_photos(tiny_release, open_storage(storage_root))
    start = threading.Barrier(3)
    upload = publication.upload

    def together(*args: object) -> None:
        upload(*args)
        start.wait()

    monkeypatch.setattr(publication, "upload", together)

    def race(_: int) -> str:
        try:
            return publish(
                tiny_release.model, IMAGE_SIZE, tiny_release.catalog, storage_root, evaluation={}
            )
        except PublishError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(race, range(3)))
    storage = open_storage(storage_root)
    current = current_release_id(storage)
    assert len(list_releases(storage)) == 3
    assert outcomes.count(str(current)) == 1
    for lost in (outcome for outcome in outcomes if outcome != current):
        assert "another release became the current one" in lost
        kept = lost.rpartition("releases promote ")[2].split()[0]
        assert kept in list_releases(storage)


def store_photos(release: TinyRelease, storage: Storage) -> None:
    """What `build_release` does beside building."""
    for photo in (release.root / IMAGES).iterdir():
        storage.upload(photo, f"{IMAGES}/{photo.name}")


def prebuilt(release: TinyRelease) -> Callable[..., object]:
    """Stands for `build_release`, which needs the processor for seconds: copies a release."""

    def copy(model: Embedder, size: int, catalog: Catalog, folder: Path, **_: object) -> object:
        original = release.root / "releases" / release.release_id
        shutil.copytree(original, folder, dirs_exist_ok=True)
        release_id = f"20270101T000000.000Z-{threading.get_ident():x}"
        manifest = replace(release.manifest, release_id=release_id)
        (folder / MANIFEST).write_bytes(manifest.to_json())
        return build.LocalRelease(manifest, folder)

    return copy


class Dying(LocalStorage):
    """A storage whose process dies, as by kill -9, after a number of writes."""

    def __init__(self, folder: Path, writes_left: list[int]) -> None:
        super().__init__(folder)
        self._writes_left = writes_left

    def _write_one(self) -> None:
        if not self._writes_left[0]:
            raise KeyboardInterrupt
        self._writes_left[0] -= 1

    def write(self, *args: Any, **options: Any) -> None:
        self._write_one()
        super().write(*args, **options)

    def upload(self, *args: Any) -> None:
        self._write_one()
        super().upload(*args)

    def child(self, folder: str) -> "Dying":
        return Dying(self.folder / folder, self._writes_left)


def test_cut_off_at_any_write_no_half_release_is_in_sight(
    tiny_release: TinyRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_module, "build_release", prebuilt(tiny_release))
    monkeypatch.setattr(publication, "_PARALLEL_UPLOADS", 1)
    writes = len(tiny_release.manifest.files) + 2
    for left in range(writes):
        root = tmp_path / str(left)
        shutil.copytree(tiny_release.root / IMAGES, root / IMAGES)
        monkeypatch.setattr(
            publication,
            "open_storage",
            lambda url, left=left, **_: Dying(Path(url), [left]),
        )
        with pytest.raises(KeyboardInterrupt):
            publish(tiny_release.model, IMAGE_SIZE, tiny_release.catalog, str(root), evaluation={})
        storage = open_storage(root)
        assert current_release_id(storage) is None
        assert len(list_releases(storage)) == (left == writes - 1)


_KILLED_AT_THE_FIFTH_UPLOAD = """
import os, signal, sys
from itertools import count
from function.storage import LocalStorage
from tests.releases import IMAGE_SIZE, open_catalog, tiny_model
from trainer.release.publish import publish

upload, uploads = LocalStorage.upload, count(1)

def upload_and_die(self, local, name):
    upload(self, local, name)
    if next(uploads) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

LocalStorage.upload = upload_and_die
publish(tiny_model(1), IMAGE_SIZE, open_catalog(sys.argv[1]), sys.argv[2], evaluation={})
"""


def test_killed_while_publishing_the_old_release_serves_on(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    write_tiny_catalog(tmp_path / "catalog")
    command = [sys.executable, "-c", _KILLED_AT_THE_FIFTH_UPLOAD]
    publisher = subprocess.run(
        [*command, str(tmp_path / "catalog"), str(root)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert publisher.returncode == -signal.SIGKILL, publisher.stderr
    assert len(list((root / "releases").iterdir())) == 2
    storage = open_storage(root)
    assert list_releases(storage) == [tiny_release.release_id]
    assert current_release_id(storage) == tiny_release.release_id
    engine = load_search_engine(storage, engine="openvino", cache_dir=tmp_path / "unused")
    engine.catalog.close()


_KILLED_ONCE_ALL_IS_EMBEDDED = """
import os, signal, sys
from tests.releases import IMAGE_SIZE, open_catalog, tiny_model
from trainer.release.publish import publish
from trainer.release.shards.job import Job

complete = Job.complete

def complete_and_die(self, *arguments):
    complete(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)

Job.complete = complete_and_die
publish(tiny_model(), IMAGE_SIZE, open_catalog(sys.argv[1]), sys.argv[2], evaluation={})
"""


def test_killed_while_embedding_the_next_attempt_goes_on(
    tiny_release: TinyRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog, root = tiny_release.catalog, str(tmp_path)
    command = [sys.executable, "-c", _KILLED_ONCE_ALL_IS_EMBEDDED, catalog.source.location, root]
    publisher = subprocess.run(command, capture_output=True, check=False)
    assert publisher.returncode == -signal.SIGKILL, publisher.stderr
    assert list_releases(open_storage(root)) == []
    release_id = publish(tiny_release.model, IMAGE_SIZE, catalog, root, evaluation={})
    assert "12 photos were embedded by an attempt before this one" in capsys.readouterr().err
    assert not (tmp_path / EMBEDDINGS).exists()
    one, other = tiny_release.manifest, read_manifest(open_storage(root), release_id)
    assert one.index.index_id == other.index.index_id


def test_photos_that_were_pruned_meanwhile_are_missed_before_the_release_is_seen(
    tiny_release: TinyRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_module, "build_release", prebuilt(tiny_release))
    storage = open_storage(tmp_path)
    store_photos(tiny_release, storage)
    gone, *_ = storage.list(IMAGES)
    storage.delete(gone)
    with pytest.raises(PublishError, match=f"1 are not, as {gone.removeprefix('images/')}"):
        publish(tiny_release.model, IMAGE_SIZE, tiny_release.catalog, str(tmp_path), evaluation={})
    assert list_releases(storage) == []
    assert current_release_id(storage) is None
