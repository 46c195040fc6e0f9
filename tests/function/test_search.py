"""A photo finds products, and a release that would find wrong ones is refused."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from function.catalog import ImageRow, Product
from function.errors import ReleaseError
from function.file_catalog import open_catalog, write_catalog
from function.file_index import FileIndex
from function.filters import Selection
from function.index import NumpyIndex
from function.loading import load_search_engine
from function.manifest import CATALOG, GOLDEN, MANIFEST, SCHEMA_VERSION
from function.manifest_file import parse_manifest
from function.photo import load_pixels
from function.release import file_info
from function.search import SearchEngine
from function.storage import open_storage
from tests.releases import IMAGE_SIZE, TinyRelease


@pytest.fixture(scope="module")
def engine(tiny_release: TinyRelease) -> SearchEngine:
    storage = open_storage(tiny_release.root)
    return load_search_engine(storage, engine="openvino", cache_dir=tiny_release.root / "unused")


@pytest.fixture(scope="module")
def photos(tiny_release: TinyRelease) -> list[NDArray[np.uint8]]:
    catalog = tiny_release.catalog
    return [load_pixels(catalog.read(photo), IMAGE_SIZE) for photo in catalog.photos]


def found(engine: SearchEngine, pixels: NDArray[np.uint8], *args: Any, **options: Any) -> list[str]:
    return [match.product.id for match in engine.search(pixels, *args, **options).matches]


def test_a_catalogue_photo_finds_its_own_product(
    engine: SearchEngine, photos: list[NDArray[np.uint8]], tiny_release: TinyRelease
) -> None:
    for photo, pixels in zip(tiny_release.catalog.photos[:-1], photos[:-1], strict=True):
        result = engine.search(pixels, 3)
        best = result.matches[0]
        assert best.product.id == photo.product_id
        assert best.score == pytest.approx(1, abs=1e-3)
        assert best.images[0].image_id == Path(photo.image).stem
        assert set(result.timings_ms) == {"embed", "search"}


def test_every_product_comes_once_and_best_first(
    engine: SearchEngine, photos: list[NDArray[np.uint8]]
) -> None:
    matches = engine.search(photos[-1], 100).matches
    assert sorted(match.product.id for match in matches) == ["p0", "p1", "p2", "p3", "p4", "p5"]
    scores = [match.score for match in matches]
    assert scores == sorted(scores, reverse=True)
    assert found(engine, photos[-1], 2) == [match.product.id for match in matches[:2]]


def test_images_per_product_brings_each_photo_once(
    engine: SearchEngine, photos: list[NDArray[np.uint8]]
) -> None:
    for wanted, brought in ((1, 1), (2, 2), (5, 2)):
        for match in engine.search(photos[3], 6, images_per_product=wanted).matches:
            assert len({image.row for image in match.images}) == len(match.images) == brought
            assert {image.product_id for image in match.images} == {match.product.id}


def test_excluded_products_make_room_for_the_next(
    engine: SearchEngine, photos: list[NDArray[np.uint8]]
) -> None:
    order = found(engine, photos[0], 6)
    some, all_of_them = (Selection(excluded=frozenset(x)) for x in (order[:3], order))
    assert found(engine, photos[0], 2, selection=some) == order[3:5]
    assert found(engine, photos[0], 2, selection=all_of_them) == []


def test_the_threshold_is_the_least_score(
    engine: SearchEngine, photos: list[NDArray[np.uint8]]
) -> None:
    scores = [match.score for match in engine.search(photos[0], 6).matches]
    assert len(engine.search(photos[0], 6, score_threshold=scores[2]).matches) == 3
    assert found(engine, photos[0], 6, score_threshold=(scores[0] + scores[1]) / 2) == ["p0"]


def test_threads_get_their_own_answers(
    engine: SearchEngine, photos: list[NDArray[np.uint8]]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        best = list(pool.map(lambda n: found(engine, photos[n % 12], 1)[0], range(48)))
    assert best == [f"p{n % 12 // 2}" for n in range(48)]


class Identity:
    """Takes its vector from the first pixels."""

    dim = 2
    image_size = 1

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = pixels[:, 0, 0, :2].astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_page_is_filled_past_a_product_with_hundreds_of_photos(
    tmp_path: Path, tiny_release: TinyRelease
) -> None:
    angles = np.concatenate([np.zeros(500), np.linspace(0.1, 1, 20)])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    names = ["crowd"] * 500 + [f"p{n}" for n in range(20)]
    images = [ImageRow(row, name, str(row)) for row, name in enumerate(names)]
    write_catalog(tmp_path / CATALOG, [Product(name) for name in dict.fromkeys(names)], images)
    catalog = open_catalog(tmp_path / CATALOG)
    manifest = parse_manifest(_manifest(tiny_release.root).read_bytes())
    engine = SearchEngine(Identity(), FileIndex(NumpyIndex(vectors), catalog), catalog, manifest)
    pixels = np.array([[[255, 0, 0]]], np.uint8)
    assert found(engine, pixels, 10) == ["crowd"] + [f"p{n}" for n in range(9)]
    assert len(found(engine, pixels, 100)) == 21
    (match,) = engine.search(pixels, 1, images_per_product=600).matches
    assert len({image.row for image in match.images}) == 500
    catalog.close()


def _manifest(root: Path) -> Path:
    return next(root.glob(f"releases/*/{MANIFEST}"))


def load(root: Path, engine: str = "openvino") -> SearchEngine:
    return load_search_engine(open_storage(root), engine=engine, cache_dir=root / "unused")


def test_the_jax_engine_gives_the_same_answers(
    engine: SearchEngine, tiny_release: TinyRelease, photos: list[NDArray[np.uint8]]
) -> None:
    other = load(tiny_release.root, "jax")
    for pixels in photos[::4]:
        ours = {match.product.id: match.score for match in engine.search(pixels, 6).matches}
        theirs = {match.product.id: match.score for match in other.search(pixels, 6).matches}
        assert theirs == pytest.approx(ours, abs=0.01)
    other.catalog.close()


def test_a_moved_root_serves(tiny_release: TinyRelease, tmp_path: Path) -> None:
    shutil.copytree(tiny_release.root, tmp_path / "moved")
    load(tmp_path / "moved").catalog.close()


def test_a_root_without_a_release_says_so(storage_root: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="expected a published release; found none"):
        load_search_engine(open_storage(storage_root), engine="openvino", cache_dir=tmp_path)


def flip_a_golden_vector(folder: Path) -> None:
    with np.load(folder / GOLDEN) as golden:
        pixels, vectors = golden["pixels"], golden["vectors"]
    vectors[2] = -vectors[2]
    np.savez_compressed(folder / GOLDEN, pixels=pixels, vectors=vectors)


def lengthen_golden_vectors(folder: Path) -> None:
    with np.load(folder / GOLDEN) as golden:
        pixels, vectors = golden["pixels"], golden["vectors"]
    np.savez_compressed(folder / GOLDEN, pixels=pixels, vectors=np.hstack([vectors, vectors]))


def write_nonsense_for_golden(folder: Path) -> None:
    (folder / GOLDEN).write_bytes(b"nonsense")


def drop_a_row_of_the_catalogue(folder: Path) -> None:
    (folder / CATALOG).unlink()
    images = [ImageRow(row, "p", str(row)) for row in range(11)]
    write_catalog(folder / CATALOG, [Product("p")], images)


def change(path: str, value: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = json.loads((folder / MANIFEST).read_text())
        inner = content
        *parents, last = path.split(".")
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
        (folder / MANIFEST).write_text(json.dumps(content))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            flip_a_golden_vector,
            r"float vector 2 of 4: .*at least 0\.999.*found -(1|0\.9)",
        ),
        (lengthen_golden_vectors, r"golden.npz: .*vectors \[n, 16\].*found .*\[4, 32\]"),
        (write_nonsense_for_golden, "golden.npz: expected pixels and vectors"),
        (drop_a_row_of_the_catalogue, "catalogue's counts: .*products=6.*found .*images=11"),
        (
            change("model.embedding_dim", 512),
            r"embedder's embedding size: expected 512, as model\.embedding_dim .* found 16",
        ),
        (change("model.image_size", 224), "embedder's image size: expected 224.* found 32"),
        (change("schema_version", 99), f"schema_version: expected {SCHEMA_VERSION}, found 99"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    tiny_release: TinyRelease, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    folder = _manifest(root).parent
    damage(folder)
    # The hashes are put right, as a faulty publisher would have them.
    content = json.loads((folder / MANIFEST).read_text())
    for name in (GOLDEN, CATALOG):
        content["files"][name] = vars(file_info(folder / name))
    (folder / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ReleaseError, match=message):
        load(root)


def test_a_flipped_byte_is_refused(tiny_release: TinyRelease, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    onnx = next(root.glob("releases/*/embedder.onnx"))
    data = bytearray(onnx.read_bytes())
    data[len(data) // 2] ^= 1
    onnx.write_bytes(data)
    with pytest.raises(ReleaseError, match=r"embedder\.onnx of release .*: expected SHA-256"):
        load(root)
