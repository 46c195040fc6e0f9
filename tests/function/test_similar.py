"""A product finds those whose photos look like its own, and never itself."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from function.catalog import ImageRow, Product
from function.embedder import open_embedder
from function.errors import BadRequest
from function.file_catalog import FileCatalog, open_catalog, write_catalog
from function.file_index import FileIndex
from function.filters import Selection
from function.index import open_index
from function.loading import load_search_engine
from function.manifest import MANIFEST
from function.manifest_file import parse_manifest
from function.photo import load_pixels
from function.search import MAX_QUERY_PHOTOS, SearchEngine
from function.storage import open_storage
from tests.indices import write_exact, write_tree
from tests.releases import IMAGE_SIZE, TinyRelease

DIM, PHOTOS, PRODUCTS = 8, 6, 40


@pytest.fixture(scope="module")
def tiny(tiny_release: TinyRelease) -> SearchEngine:
    storage = open_storage(tiny_release.root)
    return load_search_engine(storage, engine="openvino", cache_dir=tiny_release.root / "unused")


def similar(engine: SearchEngine, product_id: str, *args: int, **options: object) -> list[str]:
    return [match.product.id for match in engine.search(product_id, *args, **options).matches]


def test_a_product_finds_all_others_best_first(
    tiny: SearchEngine, tiny_release: TinyRelease
) -> None:
    photos = tiny_release.catalog.photos
    for product in ("p0", "p3"):
        result = tiny.search(product, 10)
        found = {match.product.id: match.score for match in result.matches}
        assert set(found) == {f"p{number}" for number in range(6)} - {product}
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert set(result.timings_ms) == {"search"}
        # The best of what its photos find when they are sent as photos.
        pixels = [
            load_pixels(tiny_release.catalog.read(photo), IMAGE_SIZE)
            for photo in photos
            if photo.product_id == product and photo.role != "query"
        ]
        sent = [
            {match.product.id: match.score for match in tiny.search(photo, 10).matches}
            for photo in pixels
        ]
        for other, score in found.items():
            assert score == pytest.approx(max(scores[other] for scores in sent), abs=0.002)


def test_fields_narrow_it_as_they_narrow_a_search(tiny: SearchEngine) -> None:
    order = similar(tiny, "p0")
    first_two = tiny.search("p0", 2)
    assert [match.product.id for match in first_two.matches] == order[:2]
    assert similar(tiny, "p0", 9, page_token=first_two.next_page_token) == order[2:]
    excluded = Selection(excluded=frozenset({order[0], "p0"}))
    assert similar(tiny, "p0", selection=excluded) == order[1:]
    in_first = Selection(product_set="first")
    assert set(similar(tiny, "p0", selection=in_first)) == {"p1", "p2"}
    scores = [match.score for match in tiny.search("p0").matches]
    assert similar(tiny, "p0", score_threshold=scores[1]) == order[:2]
    (facet,) = tiny.search("p0", 1, facets=("shape",)).facets
    assert facet.values == (("round", 3), ("square", 2))
    (facet,) = tiny.search("p0", 1, facets=("productCategory",), score_threshold=scores[1]).facets
    assert facet.values == (("shapes", 2),)


def test_a_token_goes_with_its_product(tiny: SearchEngine) -> None:
    token = tiny.search("p0", 2).next_page_token
    for other in ("p1", np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)):
        with pytest.raises(BadRequest, match="found one of another query"):
            tiny.search(other, 2, page_token=token)


def test_there_must_be_such_a_product(tiny: SearchEngine) -> None:
    with pytest.raises(KeyError):
        tiny.search("p9")


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Row r is a photo of product r modulo PRODUCTS."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(PHOTOS * PRODUCTS, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> FileCatalog:
    path = tmp_path_factory.mktemp("similar") / "catalog.sqlite"
    images = [ImageRow(row, str(row % PRODUCTS), str(row)) for row in range(PHOTOS * PRODUCTS)]
    write_catalog(path, [Product(str(number)) for number in range(PRODUCTS)], images)
    return open_catalog(path)


@pytest.mark.parametrize(
    ("kind", "row_type", "tolerance"),
    [("exact", "float32", 1e-5), ("exact", "int8", 0.03), ("scann", "int16", 1e-3)],
)
def test_a_score_is_the_best_cosine_to_the_first_photos(
    vectors: NDArray[np.float32],
    catalog: FileCatalog,
    tiny_release: TinyRelease,
    tmp_path: Path,
    kind: str,
    row_type: str,
    tolerance: float,
) -> None:
    folder = tmp_path / "index"
    if kind == "exact":
        write_exact(vectors, folder, row_type=row_type)
    else:
        write_tree(vectors, folder, leaves_to_search=9, reorder=500, row_type=row_type)
    release = next((tiny_release.root / "releases").iterdir())
    manifest = parse_manifest((release / MANIFEST).read_bytes())
    embedder = open_embedder(release, "openvino", precision="float")
    engine = SearchEngine(embedder, FileIndex(open_index(folder, kind), catalog), catalog, manifest)
    by_product = vectors.reshape(PHOTOS, PRODUCTS, DIM).transpose(1, 0, 2)
    for product in range(0, PRODUCTS, 7):
        cosines = by_product @ by_product[product, :MAX_QUERY_PHOTOS].T
        expected = cosines.max(axis=(1, 2))
        matches = engine.search(str(product), PRODUCTS).matches
        assert len(matches) == PRODUCTS - 1
        for match in matches:
            assert match.score == pytest.approx(expected[int(match.product.id)], abs=tolerance)
