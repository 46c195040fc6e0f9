"""What is published serves; what is wrong is not published."""

import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from function.file_catalog import open_catalog
from function.golden import GOLDEN_COSINE
from function.loading import load_search_engine
from function.manifest import CATALOG, GOLDEN, MANIFEST
from function.photo import load_pixels
from function.processor import float_instructions
from function.release import (
    IMAGES,
    current_release_id,
    fetch_release,
    list_releases,
    read_manifest,
)
from function.storage import open_storage
from tests.releases import IMAGE_SIZE, TinyRelease, tiny_model, write_tiny_catalog
from trainer.data.records import Catalog
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.release import build, contents, questions
from trainer.release.indexing import BuiltIndex, build_index
from trainer.release.publish import publish


@pytest.fixture(scope="module")
def model() -> Embedder:
    return tiny_model()


def small(catalog: Catalog) -> Catalog:
    """Its first two products and the query."""
    return catalog.subset(photo for photo in catalog.photos if photo.product_id in ("p0", "p1"))


def test_the_manifest_says_what_was_published(tiny_release: TinyRelease) -> None:
    manifest = tiny_release.manifest
    assert manifest.counts.products == 6
    assert manifest.counts.images == manifest.index.rows == 12
    assert manifest.index.kind == "exact"
    assert manifest.index.recall_at_10 == 1.0
    assert manifest.golden.photos == 4
    assert manifest.golden.worst_cosine >= GOLDEN_COSINE
    assert manifest.golden.instructions == float_instructions()
    assert manifest.evaluation["leave_one_out"] == {"recall_at_1": 0.5}
    assert (manifest.model.architecture, manifest.model.embedding_dim) == ("resnet18", 16)
    assert manifest.model.image_size == IMAGE_SIZE
    folder = tiny_release.root / "releases" / manifest.release_id
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*manifest.files, MANIFEST}


def test_an_index_is_tuned_with_the_catalogues_query_photos(
    tiny_release: TinyRelease,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[float, tuple[int, ...]]] = []

    def build(vectors: np.ndarray, folder: Path, **options: Any) -> BuiltIndex:
        asked.append((options["recall"], options["queries"].shape))
        np.testing.assert_allclose(np.linalg.norm(options["queries"], axis=1), 1, atol=1e-3)
        assert (options["queries"] @ vectors.T).max() < 1 - 1e-6
        return build_index(vectors, folder, **options)

    monkeypatch.setattr("trainer.release.rows.build_index", build)
    monkeypatch.setattr(questions, "EXACT_ROWS", 5)
    catalog, root = tiny_release.catalog, str(tmp_path)
    publish(tiny_release.model, IMAGE_SIZE, catalog, root, evaluation={}, recall=0.9)
    assert asked == [(0.9, (1, 16))]


def test_golden_vectors_are_flax_own(tiny_release: TinyRelease) -> None:
    folder = tiny_release.root / "releases" / tiny_release.release_id
    with np.load(folder / GOLDEN) as golden:
        pixels, vectors = golden["pixels"], golden["vectors"]
    np.testing.assert_allclose(vectors, tiny_release.model(jnp.asarray(pixels)), atol=1e-5)
    catalog = tiny_release.catalog
    first = load_pixels(catalog.read(catalog.photos[0]), IMAGE_SIZE)
    np.testing.assert_array_equal(pixels[0], first)


def test_queries_are_left_out_whatever_their_split(
    tiny_release: TinyRelease, model: Embedder, tmp_path: Path
) -> None:
    folder = tiny_release.root / "releases" / tiny_release.release_id
    catalog = open_catalog(folder / CATALOG)
    assert [image.image_id for image in catalog.images_of("p1")] == ["view0", "view1"]
    catalog.close()
    queries = tiny_release.catalog.subset(
        replace(photo, role="query", split="train") for photo in tiny_release.catalog.photos
    )
    with pytest.raises(PublishError, match="role catalog or none; found 13, all of them queries"):
        publish(model, IMAGE_SIZE, queries, str(tmp_path), evaluation={})
    nothing = tiny_release.catalog.subset(())
    with pytest.raises(PublishError, match="expected photos to index; found none"):
        publish(model, IMAGE_SIZE, nothing, str(tmp_path), evaluation={})
    assert open_storage(tmp_path).list() == []


def test_photos_without_an_address_are_stored_by_hash(tiny_release: TinyRelease) -> None:
    folder = tiny_release.root / "releases" / tiny_release.release_id
    catalog = open_catalog(folder / CATALOG)
    first, *others = (catalog.image(row) for row in range(12))
    catalog.close()
    assert first.url == "https://shop.example/p0.jpg"
    assert (first.sha256, first.thumbnail_sha256, first.thumbnail_url) == ("", "", "")
    expected = set()
    for image in others:
        assert (image.url, image.thumbnail_url) == ("", "")
        for sha256, longest in ((image.sha256, 400), (image.thumbnail_sha256, 320)):
            expected.add(f"{sha256}.jpg")
            data = (tiny_release.root / IMAGES / f"{sha256}.jpg").read_bytes()
            assert hashlib.sha256(data).hexdigest() == sha256
            assert max(Image.open(BytesIO(data)).size) == longest
    assert {path.name for path in (tiny_release.root / IMAGES).iterdir()} == expected


def test_a_root_is_published_to_served_from_and_published_to_again(
    storage_root: str, tiny_catalog: Catalog, model: Embedder, tmp_path: Path
) -> None:
    storage = open_storage(storage_root)
    catalog = small(tiny_catalog)
    base = "https://cdn.example/images/"
    first = publish(model, IMAGE_SIZE, catalog, storage_root, evaluation={}, image_base_url=base)
    images = storage.list(IMAGES)
    second = publish(model, IMAGE_SIZE, catalog, storage_root, evaluation={})
    assert list_releases(storage) == [first, second]
    assert current_release_id(storage) == second
    assert storage.list(IMAGES) == images
    one, two = (read_manifest(storage, release_id) for release_id in (first, second))
    assert one.model == two.model
    engine = load_search_engine(storage, engine="openvino", cache_dir=tmp_path / "cache")
    pixels = load_pixels(catalog.read(catalog.photos[2]), IMAGE_SIZE)
    (match,) = engine.search(pixels, 1).matches
    assert match.product.id == "p1"
    assert storage.exists(f"{IMAGES}/{match.images[0].sha256}.jpg")
    engine.catalog.close()
    local = fetch_release(storage, first, tmp_path / "cache", engine="openvino")
    stored = open_catalog(local.folder / CATALOG)
    image = stored.image(2)
    assert image.url == f"https://cdn.example/images/{image.sha256}.jpg"
    assert image.thumbnail_url == f"https://cdn.example/images/{image.thumbnail_sha256}.jpg"
    stored.close()


def test_a_program_that_differs_from_the_model_is_not_published(
    tiny_catalog: Catalog, model: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = build.export_onnx
    monkeypatch.setattr(
        build,
        "export_onnx",
        lambda model, *args, **options: export(tiny_model(7), *args, **options),
    )
    with pytest.raises(PublishError, match=r"vector 0 of 4: expected a cosine of at least 0\.999"):
        publish(model, IMAGE_SIZE, small(tiny_catalog), str(tmp_path), evaluation={})
    assert open_storage(tmp_path).list() == []


@pytest.mark.parametrize("damage", [b"no photo", None])
def test_a_photo_that_cannot_be_read_is_named(
    model: Embedder, tmp_path: Path, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = small(write_tiny_catalog(tmp_path / "catalog"))
    bad = tmp_path / "catalog" / "p1" / "view1.jpg"
    bad.unlink() if damage is None else bad.write_bytes(damage)
    with pytest.raises(PublishError, match=r"p1/view1\.jpg \(row 5\)"):
        publish(model, IMAGE_SIZE, catalog, str(tmp_path / "root"), evaluation={})


def test_a_photo_that_nobody_screened_is_left_out_and_listed(
    model: Embedder, tmp_path: Path
) -> None:
    """As on a cluster, where the publisher reads only what it tries the program with."""
    catalog = small(write_tiny_catalog(tmp_path / "catalog"))
    bad = catalog.photos[1]
    (tmp_path / "catalog" / bad.image).unlink()
    (tmp_path / "bad.csv").write_text("row,image,reason\n7,screened.jpg,damaged\n")
    release_id = publish(
        *(model, IMAGE_SIZE, catalog, str(tmp_path / "root")),
        evaluation={},
        tried=catalog.subset((catalog.photos[0],)),
        unseen={"p0", "p1"},
        on_bad_photo="skip",
        report=tmp_path / "bad.csv",
    )
    counts = read_manifest(open_storage(tmp_path / "root"), release_id).counts
    assert (counts.products, counts.images) == (2, 3)
    assert (tmp_path / "bad.csv").read_text().splitlines() == [
        "row,image,reason",
        "7,screened.jpg,damaged",
        f"{bad.row},{bad.image},there is no such file",
    ]


def test_photos_of_one_name_get_ids_of_their_own(tiny_catalog: Catalog) -> None:
    photos = tuple(
        replace(tiny_catalog.photos[0], image=image, labels=labels, title=title)
        for image, labels, title in (
            ("a/x.jpg", (("color", "red"),), ""),
            ("b/x.jpg", (("color", "red"), ("color", "blue")), "Shoe"),
            ("y.png", (), "Boot"),
        )
    )
    rows = contents.image_rows(photos, (None,) * 3, "https://cdn.example")
    assert [row.image_id for row in rows] == ["x", "x-1", "y"]
    (product,) = contents.products_of(photos)
    assert product.title == "Shoe"
    assert product.labels == (("color", "red"), ("color", "blue"))
