"""Shards: what is done stays done, is the same whoever does it, and is what it was made of."""

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from function.embedder import open_embedder
from function.storage import open_storage
from tests.ports import free_port
from tests.releases import TinyRelease, write_tiny_catalog
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog, Photo, Source
from trainer.errors import CatalogError, LookalikeError, PublishError, UnreadablePhoto
from trainer.release.contents import Contents
from trainer.release.images import ImageStore
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.cluster import Cluster
from trainer.release.shards.job import EMBEDDINGS, PROGRAM, Job
from trainer.release.shards.planning import OpenProgram, plan_job
from trainer.release.shards.reading import read_contents
from trainer.release.shards.worker import EmbedShards

ROWS = 4
"""Photos of a shard: the tiny catalogue's twelve make three."""


@pytest.fixture(scope="module")
def program(tiny_release: TinyRelease) -> OpenProgram:
    folder = tiny_release.root / "releases" / tiny_release.release_id
    manifest = tiny_release.manifest
    return OpenProgram(folder, manifest.model, open_embedder(folder, "openvino"))


@pytest.fixture(scope="module")
def gallery(tiny_catalog: Catalog) -> Catalog:
    """Twelve photos: one with an address."""
    return tiny_catalog.subset(p for p in tiny_catalog.photos if p.role != "query")


def embedder(root: Path, *, bad: str = "skip") -> CatalogEmbedder:
    return CatalogEmbedder(open_storage(root), on_bad_photo=bad, rows_per_shard=ROWS)  # type: ignore[arg-type]


def only_job(root: Path) -> Job:
    (folder,) = (root / EMBEDDINGS).iterdir()
    return Job(open_storage(root), folder.name)


def state(job: Job) -> dict[str, tuple[int, str]]:
    """When each shard's files were written, and their bytes."""
    assert job.storage.folder is not None
    return {
        path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in job.storage.folder.iterdir()
        if path.name.startswith(("vectors-", "done-"))
    }


class Counting:
    """A source that counts what is read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.location = source.location
        self.images: list[str] = []

    def read(self, image: str) -> bytes:
        self.images.append(image)
        return self._source.read(image)

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        return self._source.sizes(images)


_KILLED_AFTER_TWO_SHARDS = """
import os, signal, sys
from pathlib import Path
from itertools import count
from function.embedder import open_embedder
from function.manifest import ModelInfo
from function.release import read_manifest
from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.job import Job
from trainer.release.shards.planning import OpenProgram

complete, shards = Job.complete, count(1)

def complete_and_die(self, *arguments):
    complete(self, *arguments)
    if next(shards) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Job.complete = complete_and_die
catalog = open_catalog(sys.argv[1])
catalog = catalog.subset(p for p in catalog.photos if p.role != "query")
release = Path(sys.argv[2])
model = read_manifest(open_storage(release.parents[1]), release.name).model
program = OpenProgram(release, model, open_embedder(release, "openvino"))
CatalogEmbedder(open_storage(sys.argv[3]), rows_per_shard=4).embed(catalog, program)
"""


def test_a_killed_embedding_goes_on_where_it_was(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _KILLED_AFTER_TWO_SHARDS, gallery.source.location]
    killed = subprocess.run(
        [*command, program.folder, tmp_path / "root"], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = state(only_job(tmp_path / "root"))
    assert len(before) == 4

    source = Counting(gallery.source)
    found = embedder(tmp_path / "root").embed(replace(gallery, source=source), program)
    assert sorted(source.images) == sorted(photo.image for photo in gallery.photos[2 * ROWS :])
    after = state(only_job(tmp_path / "root"))
    assert {name: after[name] for name in before} == before
    undisturbed = embedder(tmp_path / "other").embed(gallery, program)
    np.testing.assert_array_equal(found.embedded.vectors, undisturbed.embedded.vectors)
    assert found.embedded.stored == undisturbed.embedded.stored


def test_a_shard_has_the_same_bytes_whoever_makes_it_and_however_often(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    """As a worker on another machine does, which knows the root and the job's name alone."""
    embedder(tmp_path).embed(gallery, program)
    job = only_job(tmp_path)
    first = {name: sha256 for name, (_, sha256) in state(job).items()}
    for name in program.files:
        job.storage.upload(program.folder / name, f"{PROGRAM}/{name}")
    worker = EmbedShards((str(tmp_path), job.job_id), threads=1)
    told = worker({"shard": np.array([0, 2])})
    assert told["embedded"].tolist() == [0, 0]
    for shard in range(3):
        job.reject(shard)
        job.storage.delete(job.vectors_name(shard))
    told = worker({"shard": np.array([1, 2, 0])})
    assert told["shard"].tolist() == [1, 2, 0]
    assert told["photos"].tolist() == [4, 4, 4]
    assert told["embedded"].tolist() == [1, 1, 1]
    assert {name: sha256 for name, (_, sha256) in state(job).items()} == first


def test_unreadable_photos_are_listed_and_every_other_is_embedded(
    program: OpenProgram, tmp_path: Path
) -> None:
    catalog = write_tiny_catalog(tmp_path / "catalog")
    catalog = catalog.subset(photo for photo in catalog.photos if photo.role != "query")
    whole = embedder(tmp_path / "whole").embed(catalog, program)
    (tmp_path / "catalog/p1/view1.jpg").write_bytes(b"no photo")
    (tmp_path / "catalog/p4/view0.jpg").unlink()
    found = embedder(tmp_path / "root").embed(catalog, program)
    assert [(photo.image, reason) for photo, reason in found.bad] == [
        ("p1/view1.jpg", found.bad[0][1]),
        ("p4/view0.jpg", "there is no such file"),
    ]
    assert "not an image of a type" in found.bad[0][1]
    left = [row for row in range(12) if row not in (3, 8)]
    assert found.catalog.photos == tuple(catalog.photos[row] for row in left)
    np.testing.assert_array_equal(found.embedded.vectors, whole.embedded.vectors[left])
    with pytest.raises(UnreadablePhoto, match=r"p1/view1\.jpg \(row 5\): .*not an image"):
        embedder(tmp_path / "strict", bad="fail").embed(catalog, program)


def test_a_catalogue_of_which_nothing_can_be_read_is_refused(
    program: OpenProgram, tmp_path: Path
) -> None:
    photos = tuple(Photo(f"p{number}", f"{number}.jpg") for number in range(6))
    catalog = replace(write_tiny_catalog(tmp_path / "catalog"), photos=photos)
    with pytest.raises(PublishError, match=r"none of 6 can be read, as 0\.jpg: there is no such"):
        embedder(tmp_path / "root").embed(catalog, program)


def test_a_damaged_shard_is_noticed_and_embedded_anew(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    found = embedder(tmp_path).embed(gallery, program)
    job = only_job(tmp_path)
    before = state(job)
    name = job.vectors_name(1)
    data = bytearray(job.read(name))
    data[len(data) // 2] ^= 1
    job.storage.write(name, bytes(data))
    with pytest.raises(PublishError, match=r"vectors-000001\.parquet: expected the vectors"):
        embedder(tmp_path).embed(gallery, program)
    again = embedder(tmp_path).embed(gallery, program)
    np.testing.assert_array_equal(again.embedded.vectors, found.embedded.vectors)
    changed = {file for file, told in state(job).items() if before[file] != told}
    assert changed == {name, "done-000001.json"}


def test_a_marker_without_its_vectors_counts_for_nothing(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    embedder(tmp_path).embed(gallery, program)
    job = only_job(tmp_path)
    job.storage.delete(job.vectors_name(0))
    job.storage.write("done-000001.json", b"{half")
    assert list(job.completions()) == [2]


def test_shard_by_shard_is_what_all_of_it_is(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    """Photos of one name in one product lie in different shards, and one cannot be read."""
    photos = [replace(photo, product_id="one") for photo in gallery.photos]
    photos[5] = replace(photos[5], image="missing.jpg")
    found = embedder(tmp_path).embed(gallery.subset(photos), program)
    base = "https://cdn.example"
    whole = Contents.of(found.catalog.photos, found.embedded, base)
    chunks = list(read_contents(only_job(tmp_path), base))
    assert [len(chunk.images) for chunk in chunks] == [4, 3, 4]
    assert [image for chunk in chunks for image in chunk.images] == whole.images
    assert [image.row for image in whole.images] == list(range(11))
    np.testing.assert_array_equal(
        np.concatenate([chunk.vectors for chunk in chunks]), whole.vectors
    )
    assert {product.id for chunk in chunks for product in chunk.products} == {"one"}


def test_a_job_is_known_by_what_is_embedded_and_by_what(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    storage = open_storage(tmp_path / "root")
    shutil.copytree(gallery.source.location, tmp_path / "moved")
    moved = replace(gallery, source=open_catalog(tmp_path / "moved").source)
    known = plan_job(gallery, program, storage)
    again = plan_job(moved, program, storage)
    assert again.job_id == known.job_id
    assert again.plan().catalog == str(tmp_path / "moved")

    other = tmp_path / "program"
    other.mkdir()
    for name in program.files:
        shutil.copy(program.folder / name, other / name)
    with (other / program.files[0]).open("ab") as file:
        file.write(b"\0")
    texts = gallery.subset(replace(photo, title="New") for photo in gallery.photos)
    (tmp_path / "moved/p0/view0.jpg").write_bytes(b"another size")
    others = [
        plan_job(moved, program, storage),
        plan_job(texts, program, storage),
        plan_job(gallery.subset(gallery.photos[::-1]), program, storage),
        plan_job(gallery, replace(program, folder=other), storage),
    ]
    assert len({known.job_id, *(job.job_id for job in others)}) == 5


def test_a_worker_that_does_not_see_the_photos_says_so(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    shutil.copytree(gallery.source.location, tmp_path / "catalog")
    here = replace(gallery, source=open_catalog(tmp_path / "catalog").source)
    job = plan_job(here, program, open_storage(tmp_path / "root"))
    for name in program.files:
        job.storage.upload(program.folder / name, f"{PROGRAM}/{name}")
    shutil.rmtree(tmp_path / "catalog")
    with pytest.raises(CatalogError, match="Every worker must see the photos under this path"):
        EmbedShards((str(tmp_path / "root"), job.job_id))


def test_a_worker_refuses_another_program(
    gallery: Catalog, program: OpenProgram, tmp_path: Path
) -> None:
    job = plan_job(gallery, program, open_storage(tmp_path))
    for name in program.files:
        job.storage.upload(program.folder / name, f"{PROGRAM}/{name}")
    job.storage.write(f"{PROGRAM}/{program.files[0]}", b"another")
    with pytest.raises(PublishError, match=r"embedder\.onnx: expected SHA-256"):
        EmbedShards((str(tmp_path), job.job_id))


def test_a_worker_on_a_bucket_needs_no_list_of_all_photos(
    storage_root: str, gallery: Catalog, tmp_path: Path
) -> None:
    storage = open_storage(storage_root)
    data = gallery.read(gallery.photos[0])
    stored = ImageStore(storage, listed=False).add(data)
    names = storage.list("images")
    storage.write(names[0], b"would be overwritten")
    assert ImageStore(storage, listed=False).add(data) == stored
    assert storage.read(names[0]) == b"would be overwritten"


def test_what_is_published_leaves_no_shards(tiny_release: TinyRelease) -> None:
    assert not (tiny_release.root / EMBEDDINGS).exists()


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "nonsense"])
def test_a_cluster_that_is_not_there_is_said_at_once(
    gallery: Catalog, program: OpenProgram, tmp_path: Path, address: str
) -> None:
    cluster = Cluster(address.format(port=free_port()))
    publisher = CatalogEmbedder(open_storage(tmp_path), cluster=cluster, rows_per_shard=ROWS)
    with pytest.raises(LookalikeError, match="--runner ray: expected a Ray cluster at"):
        publisher.embed(gallery, program)


def test_no_module_but_the_clusters_part_imports_ray() -> None:
    code = "import sys, trainer.release.shards.catalog; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
