"""An update finds what a full publication of the changed catalogue would find."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from function.loading import load_search_engine
from function.manifest import Manifest
from function.photo import load_pixels
from function.release import current_release_id, list_releases, read_manifest
from function.search import SearchEngine
from function.storage import open_storage
from tests.releases import IMAGE_SIZE, TinyRelease, draw_photo, write_tiny_catalog
from trainer.data.catalog import open_catalog
from trainer.data.changes import Changes, open_changes
from trainer.errors import CatalogError, PublishError
from trainer.release import update as update_module
from trainer.release.kept import UPDATE, load_kept
from trainer.release.publish import publish
from trainer.release.update import update

FIELDS = ("product_id", "image", "title", "category", "price", "labels", "product_set", "change")


def row(product: str, image: str = "", change: str = "", **texts: str) -> dict[str, str]:
    return {"product_id": product, "image": image, "change": change, **texts}


def write_changes(folder: Path, rows: list[dict[str, str]]) -> Changes:
    """A listing with the photos it needs: product number and view by name."""
    folder.mkdir(exist_ok=True)
    for each in rows:
        if each["image"]:
            number, view = each["image"].removesuffix(".jpg").split("-")
            draw_photo(int(number), int(view)).save(folder / each["image"])
    with (folder / "changes.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        table.writerows(rows)
    return open_changes(folder / "changes.csv")


CHANGES = [
    row("p1", "11-0.jpg", "change", title="Another", category="shapes", labels="shape=new"),
    row("p1", "1-1.jpg", "change"),
    row("x7", "7-0.jpg", "add", title="New", category="shapes"),
    row("p4", "", "remove"),
    row("p2", "", "change", title="Product 2", category="shapes", price="now 3.00 EUR"),
    row("x8", "8-0.jpg", "", title="New too"),
    row("x7", "7-1.jpg", "add"),
    row("p9", "", "remove"),
]


@dataclass(frozen=True)
class Pair:
    """An updated root and one that was published in full from the changed catalogue."""

    updated: SearchEngine
    full: SearchEngine
    root: Path
    told: Any


def changed_catalog(folder: Path) -> Path:
    """The tiny catalogue's listing with CHANGES made by hand, in place."""
    write_tiny_catalog(folder)
    write_changes(folder, CHANGES)
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    edited: list[dict[str, str]] = []
    for each in rows:
        if each["product_id"] == "p1" and each["role"] == "catalog":
            if each["path"].endswith("view0.jpg"):
                edited += [dict(change) for change in CHANGES[:2]]
        elif each["product_id"] == "p2":
            own = {"product_id": "p2", "image": each["path"], "role": "catalog"}
            edited.append({**CHANGES[4], **own})
        elif each["product_id"] != "p4":
            edited.append({**each, "image": each["path"]})
    edited += [dict(each) for each in CHANGES if each["product_id"].startswith("x")]
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, [*FIELDS[:-1], "image_url", "role"], extrasaction="ignore")
        table.writeheader()
        table.writerows(edited)
    return folder


@pytest.fixture(scope="module")
def pair(tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("updated")
    root = folder / "root"
    shutil.copytree(tiny_release.root, root)
    told = update(write_changes(folder / "changes", CHANGES), str(root))
    catalog = open_catalog(changed_catalog(folder / "catalog"))
    publish(tiny_release.model, IMAGE_SIZE, catalog, str(folder / "full"), evaluation={})
    engines = [
        load_search_engine(open_storage(at), engine="openvino", cache_dir=folder / "unused")
        for at in (root, folder / "full")
    ]
    yield Pair(engines[0], engines[1], root, told)
    for engine in engines:
        engine.catalog.close()


def manifest_of(root: Path) -> Manifest:
    storage = open_storage(root)
    return read_manifest(storage, str(current_release_id(storage)))


def test_an_update_says_what_it_did(pair: Pair, tiny_release: TinyRelease) -> None:
    told = pair.told
    assert told.base == tiny_release.release_id
    assert (told.added, told.changed, told.removed, told.absent) == (2, 2, 1, 1)
    assert (told.embedded, told.kept) == (5, 8)
    manifest = manifest_of(pair.root)
    assert manifest.release_id == told.release_id
    assert manifest.base == tiny_release.release_id
    assert (manifest.counts.products, manifest.counts.images) == (7, 13)


def test_the_same_rows_products_and_photos_are_stored(pair: Pair) -> None:
    updated, full = pair.updated.catalog, pair.full.catalog
    assert updated.counts == full.counts
    every = range(full.counts.images)
    assert updated.images(every) == full.images(every)
    numbers = range(full.counts.products)
    assert updated.products(numbers) == full.products(numbers)
    np.testing.assert_array_equal(updated.picture_of_row, full.picture_of_row)
    (price,) = {product.price for product, _ in updated.products(numbers) if product.id == "p2"}
    assert price == "now 3.00 EUR"


def test_the_same_answers_are_given(pair: Pair) -> None:
    for product in range(10):
        photo = draw_photo(product, 2)
        pixels = np.asarray(photo.resize((IMAGE_SIZE, IMAGE_SIZE)).convert("RGB"), np.uint8)
        one, other = (engine.search(pixels, 10).matches for engine in (pair.updated, pair.full))
        assert [match.product for match in one] == [match.product for match in other]
        scores = [[match.score for match in found] for found in (one, other)]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_network_golden_photos_and_evaluation_are_the_bases(
    pair: Pair, tiny_release: TinyRelease
) -> None:
    updated, base = manifest_of(pair.root), manifest_of(tiny_release.root)
    assert (updated.model, updated.golden) == (base.model, base.golden)
    assert updated.evaluation == base.evaluation
    programs = [
        name for name in base.files if name.startswith(("embedder", "checkpoint", "golden"))
    ]
    assert len(programs) > 4
    assert all(updated.files[name] == base.files[name] for name in programs)
    folder = pair.root / "releases" / updated.release_id
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_functions_fetch_nothing_that_only_updates_need(pair: Pair) -> None:
    manifest = manifest_of(pair.root)
    kept = {name for name in manifest.files if name.startswith(UPDATE)}
    assert kept
    for engine in ("openvino", "jax"):
        assert not kept & manifest.files_for(engine).keys()


def test_an_update_of_an_update_in_a_bucket(
    tiny_release: TinyRelease, gcs_emulator: str, tmp_path: Path
) -> None:
    storage = open_storage(f"{gcs_emulator}/shop")
    for path in tiny_release.root.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            storage.upload(path, path.relative_to(tiny_release.root).as_posix())
    first = [row("p0", "", "remove"), row("x7", "7-0.jpg", "add")]
    second = [row("x7", "", "remove"), row("p0", "0-0.jpg", "add")]
    for number, rows in enumerate((first, second)):
        changes = write_changes(tmp_path / str(number), rows)
        told = update(changes, storage.url, image_base_url="https://cdn.example")
        assert (told.embedded, told.removed) == (1, 1)
    manifest = read_manifest(storage, told.release_id)
    assert (manifest.counts.products, manifest.counts.images) == (6, 11)
    engine = load_search_engine(storage, engine="openvino", cache_dir=tmp_path / "cache")
    pixels = load_pixels((tmp_path / "1" / "0-0.jpg").read_bytes(), IMAGE_SIZE)
    best = engine.search(pixels, 1).matches[0]
    assert best.product.id == "p0"
    assert best.score > 0.999
    # What is stored is public where the last update was told, also of what it kept.
    assert all(
        image.url == f"https://cdn.example/{image.sha256}.jpg"
        for image in engine.catalog.images(range(11))
    )
    engine.catalog.close()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row("p1", "1-0.jpg", "add")], "row 2: product 'p1': expected a new product, found one"),
        ([row("x", "1-0.jpg", "change")], "product 'x': expected a known product, found none"),
        ([row("x", "", "", title="x")], "product 'x': expected a known product, found none"),
    ],
)
def test_changes_that_do_not_fit_the_release_are_refused(
    tiny_release: TinyRelease, tmp_path: Path, rows: list[dict[str, str]], problem: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        update(write_changes(tmp_path, rows), str(tiny_release.root))
    assert problem in str(refused.value)
    assert list_releases(open_storage(tiny_release.root)) == [tiny_release.release_id]


def test_a_product_whose_photos_cannot_be_read_is_not_taken_away(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    changes = write_changes(tmp_path, [row("p1", "1-0.jpg"), row("p2", "2-0.jpg")])
    (tmp_path / "1-0.jpg").write_bytes(b"no photo")
    with pytest.raises(CatalogError, match="product 'p1': none of its photos can be read"):
        update(changes, str(tiny_release.root))


def test_what_cannot_be_updated_is_said(tiny_release: TinyRelease, tmp_path: Path) -> None:
    all_gone = write_changes(tmp_path, [row(f"p{number}", "", "remove") for number in range(6)])
    with pytest.raises(PublishError, match="all are removed"):
        update(all_gone, str(tiny_release.root))
    with pytest.raises(PublishError, match="expected a release to update; found none"):
        update(all_gone, str(tmp_path / "empty"))
    bare = tmp_path / "bare"
    shutil.copytree(tiny_release.root / "releases" / tiny_release.release_id, bare)
    shutil.rmtree(bare / UPDATE)
    with pytest.raises(PublishError, match="Publish once in full"):
        load_kept(bare)


def test_an_update_of_a_release_that_was_replaced_meanwhile_loses(
    tiny_release: TinyRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    changes = write_changes(tmp_path / "changes", [row("p1", "", "remove")])
    assemble = update_module.assemble_release

    def meanwhile(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(update_module, "assemble_release", assemble)
        other = write_changes(tmp_path / "other", [row("p2", "", "remove")])
        winners.append(update(other, str(root)).release_id)
        return assemble(*args, **options)

    winners: list[str] = []
    monkeypatch.setattr(update_module, "assemble_release", meanwhile)
    with pytest.raises(PublishError, match="another release became the current one"):
        update(changes, str(root))
    storage = open_storage(root)
    assert [current_release_id(storage)] == winners
    assert len(list_releases(storage)) == 3
