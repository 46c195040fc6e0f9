"""Pruning frees what nobody can come back to, in an order that no reader can stumble over."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from function.manifest import MANIFEST
from function.release import IMAGES, list_releases, read_manifest, read_pointer, set_current
from function.storage import LocalStorage, Storage
from tests.many_releases import FIRST, SECOND, THIRD, AddRelease
from tests.trainer.release.registry.test_comparison import rewritten
from trainer.errors import RegistryError
from trainer.release.registry.promotion import promote
from trainer.release.registry.pruning import plan_pruning, prune
from trainer.release.shards.job import EMBEDDINGS, Job

FOURTH = "20261123T090000.000Z-abc23"
LATER = datetime(2026, 12, 24, tzinfo=UTC)


def test_the_newest_the_current_and_the_previous_stay(
    storage: Storage, add_release: AddRelease
) -> None:
    for release_id in (FIRST, SECOND, THIRD, FOURTH):
        add_release(storage, release_id)
    promote(storage, FIRST, verify=False)
    promote(storage, SECOND, verify=False)
    plan = plan_pruning(storage, keep=1, now=LATER)
    assert [(removal.release_id, removal.reason) for removal in plan.releases] == [(THIRD, "old")]
    assert plan.kept == (FIRST, SECOND, FOURTH)
    manifest = read_manifest(storage, THIRD)
    files = sum(info.size for info in manifest.files.values())
    assert plan.size == files + storage.size(f"releases/{THIRD}/{MANIFEST}")
    before = storage.list()
    prune(storage, plan)
    assert storage.list() == [name for name in before if THIRD not in name]
    assert storage.folder is None or not (storage.folder / "releases" / THIRD).exists()
    assert plan_pruning(storage, keep=1, now=LATER).releases == ()


def test_what_is_unfinished_goes_once_no_publisher_can_be_at_it(
    storage: Storage, add_release: AddRelease
) -> None:
    add_release(storage, FIRST)
    for release_id in (SECOND, "no-date"):
        storage.write(f"releases/{release_id}/embedder.onnx", b"so far")
    began = datetime(2026, 11, 21, 9, tzinfo=UTC)
    young = plan_pruning(storage, now=began + timedelta(hours=23))
    assert young.releases == ()
    (removal,) = plan_pruning(storage, now=began + timedelta(hours=25)).releases
    assert (removal.release_id, removal.reason, removal.size) == (SECOND, "unfinished", 6)


def test_a_complete_release_that_is_young_may_be_on_its_way(
    local: Storage, add_release: AddRelease
) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        add_release(local, release_id, current=False)
    now = datetime(2026, 11, 21, 10, tzinfo=UTC)
    (removal,) = plan_pruning(local, keep=1, now=now).releases
    assert removal.release_id == FIRST


class Watched(LocalStorage):
    """After each deletion every release that has a manifest has all its files."""

    deleted = 0

    def delete(self, name: str) -> None:
        super().delete(name)
        self.deleted += 1
        for release_id in list_releases(self):
            there = set(self.child(f"releases/{release_id}").list())
            assert set(read_manifest(self, release_id).files) <= there


def test_no_reader_sees_half_a_release(local: Storage, add_release: AddRelease) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        add_release(local, release_id)
    assert local.folder is not None
    watched = Watched(local.folder)
    plan = plan_pruning(watched, keep=1, now=LATER)
    prune(watched, plan)
    assert watched.deleted == len(plan.releases[0].names) > 10


def test_photos_go_with_the_last_catalogue_that_has_them(
    storage: Storage, add_release: AddRelease
) -> None:
    def without_p0(folder: Path) -> None:
        rewritten(
            lambda products, images: (
                products[1:],
                [image for image in images if image.product_id != "p0"],
            )
        )(folder)

    add_release(storage, FIRST)
    add_release(storage, SECOND, edit=without_p0)
    add_release(storage, THIRD, edit=without_p0)
    storage.write(f"{IMAGES}/{'0' * 64}.jpg", b"of nobody")
    photos = storage.list(IMAGES)
    assert plan_pruning(storage, keep=3, images=True, now=LATER).images == (photos[0],)
    plan = plan_pruning(storage, keep=1, images=True, now=LATER)
    # Of p0 one photo is stored, and its thumbnail.
    assert len(plan.images) == 3
    assert plan.images_size == sum(storage.size(name) for name in plan.images)
    prune(storage, plan)
    assert storage.list(IMAGES) == [name for name in photos if name not in plan.images]


def test_photos_stay_where_it_is_not_known_who_needs_them(
    local: Storage, add_release: AddRelease
) -> None:
    add_release(local, FIRST)
    local.write(f"releases/{SECOND}/embedder.onnx", b"so far")
    now = datetime(2026, 11, 21, 10, tzinfo=UTC)
    with pytest.raises(RegistryError, match=f"expected no release under way.*found {SECOND}"):
        plan_pruning(local, images=True, now=now)
    local.delete(f"releases/{SECOND}/embedder.onnx")
    local.write(f"releases/{FIRST}/catalog.sqlite", b"")
    with pytest.raises(RegistryError, match="not known which photos it uses"):
        plan_pruning(local, images=True, now=LATER)


def test_a_plan_that_was_overtaken_is_not_carried_out(
    local: Storage, add_release: AddRelease
) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        add_release(local, release_id)
    plan = plan_pruning(local, keep=1, now=LATER)
    assert [removal.release_id for removal in plan.releases] == [FIRST]
    pointer = read_pointer(local)
    assert pointer is not None
    set_current(local, FIRST, pointer.version)
    with pytest.raises(RegistryError, match="made current or previous meanwhile"):
        prune(local, plan)
    assert FIRST in list_releases(local)


def test_a_release_that_appears_keeps_its_photos(local: Storage, add_release: AddRelease) -> None:
    add_release(local, FIRST)
    local.write(f"{IMAGES}/{'0' * 64}.jpg", b"of the one that comes")
    plan = plan_pruning(local, images=True, now=LATER)
    add_release(local, SECOND)
    with pytest.raises(RegistryError, match=f"release {SECOND} appeared meanwhile"):
        prune(local, plan)
    assert local.exists(f"{IMAGES}/{'0' * 64}.jpg")


def test_what_cut_off_publications_embedded_goes_when_asked_for(
    storage: Storage, add_release: AddRelease
) -> None:
    add_release(storage, FIRST)
    before = storage.list()
    job = Job(storage, "abandoned")
    job.begin()
    job.storage.write("vectors-000000.parquet", b"vectors")
    storage.write(f"{EMBEDDINGS}/of-unknown-age/plan.json", b"{}")
    begun = datetime.now(UTC)
    assert plan_pruning(storage, now=begun + timedelta(days=2)).embeddings == ()
    young = plan_pruning(storage, embeddings=True, now=begun + timedelta(hours=23))
    assert young.embeddings == ()
    plan = plan_pruning(storage, embeddings=True, now=begun + timedelta(hours=25))
    assert plan.embeddings == ("abandoned",)
    assert plan.size == plan.embeddings_size == len(b"vectors") + job.storage.size("begun.json")
    prune(storage, plan)
    storage.delete(f"{EMBEDDINGS}/of-unknown-age/plan.json")
    assert storage.list() == before
