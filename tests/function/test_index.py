"""Nearest rows, from a tree and from NumPy alike, of all row types."""

import itertools
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import function.index as module
from function.errors import ReleaseError
from function.index import Index, NumpyIndex, TreeIndex, open_index
from function.vectors import StoredVectors, random_rotation
from tests.indices import write_exact, write_tree
from trainer.release.indexing import build_index

Kind = pytest.mark.parametrize("kind", ["exact", "scann"])
ROWS = 6000


def clustered(rows: int, dim: int = 32, seed: int = 0, group: int = 6) -> NDArray[np.float32]:
    """Unit vectors in groups of about so many, as photos of one product are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(2, rows // group), dim))
    vectors = centres[random.integers(0, len(centres), rows)] + 0.5 * random.normal(
        size=(rows, dim)
    )
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    return clustered(ROWS)


@pytest.fixture(scope="module")
def built(vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("indices")
    write_exact(vectors, root / "exact")
    write_tree(vectors, root / "scann", leaves_to_search=40, reorder=100, row_type="int8")
    return root


def recall(index: Index, vectors: NDArray[np.float32], allowed: NDArray[np.bool_]) -> float:
    """The share of the ten nearest allowed rows that are found, over 40 queries."""
    shares = []
    for query in clustered(40, seed=1):
        scores = np.where(allowed, vectors @ query, -np.inf)
        nearest = np.argsort(-scores)[: min(10, allowed.sum())]
        found, _ = index.search(query, 10, allowed)
        shares.append(len(set(found) & set(nearest)) / len(nearest))
    return float(np.mean(shares))


@Kind
def test_a_moved_index_finds_the_rows_that_numpy_finds(
    built: Path, vectors: NDArray[np.float32], tmp_path: Path, kind: str
) -> None:
    shutil.copytree(built / kind, tmp_path / "moved")
    index = open_index(tmp_path / "moved", kind)
    assert (index.rows, index.dim) == vectors.shape
    truth = NumpyIndex(vectors)
    shared = []
    for query in clustered(50, seed=1):
        rows, scores = index.search(query, 10)
        expected, expected_scores = truth.search(query, 10)
        assert rows.dtype == np.int64
        assert scores.dtype == np.float32
        np.testing.assert_allclose(
            scores, vectors[rows] @ query, atol=1e-5 if kind == "exact" else 0.01
        )
        assert np.all(np.diff(scores) <= 0)
        shared.append(len(set(rows) & set(expected)) / 10)
        if kind == "exact":
            np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    assert np.mean(shared) == 1.0 if kind == "exact" else np.mean(shared) > 0.8


@Kind
@pytest.mark.parametrize("k", [1, 150, 1999, ROWS - 1, ROWS, 9000])
def test_any_number_of_rows_can_be_asked_for(
    built: Path, vectors: NDArray[np.float32], kind: str, k: int
) -> None:
    rows, scores = open_index(built / kind, kind).search(vectors[7], k)
    assert rows[0] == 7
    assert len(set(rows)) == len(rows) == len(scores) == min(k, ROWS)
    assert np.isfinite(scores).all()


@Kind
@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.1, 0.5, 0.999, 1])
def test_a_filter_lets_only_its_rows_through_and_as_many_as_there_are(
    built: Path, vectors: NDArray[np.float32], kind: str, share: float
) -> None:
    index = open_index(built / kind, kind)
    allowed = np.random.default_rng(0).random(ROWS) < share
    for query, k in zip(clustered(8, seed=1), (1, 10, 10, 10, 100, 2000, 5000, 9000), strict=True):
        rows, scores = index.search(query, k, allowed)
        assert allowed[rows].all()
        assert len(set(rows)) == len(rows) == len(scores) == min(k, allowed.sum())
        np.testing.assert_allclose(scores, vectors[rows] @ query, atol=0.01)
        assert np.all(np.diff(scores) <= 0)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_filters_by_chance_keep_the_recall(
    built: Path, vectors: NDArray[np.float32], share: float
) -> None:
    allowed = np.random.default_rng(0).random(ROWS) < share
    assert recall(open_index(built / "scann", "scann"), vectors, allowed) >= 0.95


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_filters_that_let_through_what_is_far_from_the_query_keep_the_recall(
    built: Path, vectors: NDArray[np.float32], share: float
) -> None:
    index = open_index(built / "scann", "scann")
    for query in clustered(10, seed=1):
        scores = vectors @ query
        allowed = scores <= np.quantile(scores, share)
        tenth = np.sort(scores[allowed])[-10]
        found, _ = index.search(query, 10, allowed)
        # Thousands of rows lie about as near, closer to each other than int8 tells apart.
        assert (scores[found] >= tenth - 0.01).all()


def test_leaves_are_read_until_the_answer_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_SCANNED", 100)
    read: list[int] = []
    scores_of = StoredVectors.scores

    def scores(
        self: StoredVectors, vector: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        read.append(self.rows if rows is None else len(rows))
        return scores_of(self, vector, rows)

    vectors = clustered(ROWS, group=60)
    write_tree(vectors, tmp_path / "tree", leaves_to_search=40, reorder=100)
    index = open_index(tmp_path / "tree", "scann")
    monkeypatch.setattr(StoredVectors, "scores", scores)
    allowed = np.random.default_rng(0).random(ROWS) < 0.2
    shares, recalls = [], []
    for query in vectors[:40]:
        read.clear()
        found, _ = index.search(query, 10, allowed)
        near = vectors @ query
        recalls.append((near[found] >= np.sort(near[allowed])[-10] - 1e-6).mean())
        # More than the first pass, whose rows nothing has confirmed yet.
        assert len(read) > 1
        shares.append(sum(read) / allowed.sum())
    # Of all queries together: which ten rows a tree finds for one differs from build to build.
    assert np.mean(recalls) >= 0.97
    assert np.mean(shares) < 0.7


@Kind
def test_a_larger_page_goes_on_where_a_smaller_one_ended(built: Path, kind: str) -> None:
    index = open_index(built / kind, kind)
    deepest = ROWS if kind == "exact" else 100 // 2
    for query in clustered(10, seed=1):
        whole, scores = index.search(query, deepest)
        for k in (1, 2, 7, 10, 29, deepest):
            rows, best = index.search(query, k)
            np.testing.assert_array_equal(rows, whole[:k])
            np.testing.assert_array_equal(best, scores[:k])


def test_far_larger_pages_begin_nearly_as_a_smaller_one_does(built: Path) -> None:
    index = open_index(built / "scann", "scann")
    shared = []
    for query in clustered(40, seed=1):
        first = index.search(query, 10)[0]
        shared += [len(set(first) & set(index.search(query, k)[0][:10])) for k in (100, 500, 2000)]
    assert np.mean(shared) >= 9.0


@Kind
def test_equal_rows_come_in_the_order_of_their_numbers(tmp_path: Path, kind: str) -> None:
    copies = np.repeat(clustered(40), 20, axis=0)
    write_exact(copies, tmp_path / "exact")
    write_tree(copies, tmp_path / "scann", leaves_to_search=60, reorder=100)
    rows, _ = open_index(tmp_path / kind, kind).search(copies[205], 20)
    np.testing.assert_array_equal(rows, np.arange(200, 220))


@pytest.mark.parametrize("rows", [1, 2, 11])
def test_a_catalogue_of_a_few_photos_has_an_index(tmp_path: Path, rows: int) -> None:
    vectors = clustered(rows)
    build_index(vectors, tmp_path)
    found, scores = open_index(tmp_path, "exact").search(vectors[-1], 10)
    assert len(found) == min(rows, 10)
    assert found[0] == rows - 1
    assert scores[0] == pytest.approx(1, abs=1e-5)


@Kind
def test_where_scann_has_no_package_numpy_reads_the_same_files(
    built: Path, vectors: NDArray[np.float32], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("function.index.find_spec", lambda name: None)
    index = open_index(built / kind, kind)
    assert isinstance(index, NumpyIndex)
    rows, scores = index.search(vectors[3], 9000)
    assert rows[0] == 3
    assert len(rows) == ROWS
    np.testing.assert_allclose(scores, vectors[rows] @ vectors[3], atol=0.01)
    assert np.all(np.diff(scores) <= 0)


@Kind
def test_threads_share_it(built: Path, vectors: NDArray[np.float32], kind: str) -> None:
    index = open_index(built / kind, kind)
    start = threading.Barrier(4)

    def search(offset: int) -> list[int]:
        start.wait()
        return [int(index.search(vectors[row], 3)[0][0]) for row in range(offset, offset + 100)]

    with ThreadPoolExecutor(4) as pool:
        for offset, found in zip(range(4), pool.map(search, range(4)), strict=True):
            assert found == list(range(offset, offset + 100))


TREE_FILES = ("scann_config.pb", "search.json", "leaves.npy", "centroids.npy")
ROW_FILES = ("dataset.npy", "scales.npy", "rotation.npy")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("exact", "dataset.npy"), *itertools.product(("scann",), (*TREE_FILES, *ROW_FILES))],
)
@pytest.mark.parametrize("damage", ["absent", "foreign", "cut off", "of a pickle"])
def test_damaged_files_are_a_release_error(
    built: Path, tmp_path: Path, kind: str, name: str, damage: str
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(built / kind, folder)
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if damage == "foreign":
        path.write_bytes(b"~")
    if damage == "cut off":
        path.write_bytes(data[: len(data) // 2])
    if damage == "of a pickle":
        with path.open("wb") as file:
            np.save(file, np.array([{}]), allow_pickle=True)
    with pytest.raises(ReleaseError, match=f"index of kind {kind}"):
        open_index(folder, kind)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("dataset.npy", np.zeros((5, 32), np.float64), "expected .rows, dim. of float32"),
        ("dataset.npy", np.zeros(5, np.float32), r"found \[5\] of float32"),
        ("scales.npy", np.zeros(5, np.float32), r"scales.npy: expected \[6000\]"),
        ("rotation.npy", np.eye(31, dtype=np.float32), r"rotation.npy: expected \[32, 32\]"),
        ("leaves.npy", np.zeros(ROWS, np.int64), "leaves.npy: expected .* of int32"),
        ("leaves.npy", np.full(ROWS, -1, np.int32), "leaves.npy: expected numbers below"),
        ("leaves.npy", np.full(ROWS, 9999, np.int32), "leaves.npy: expected numbers below"),
        ("centroids.npy", np.zeros((2, 32), np.float32), "centroids.npy: expected"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    built: Path, tmp_path: Path, name: str, array: NDArray[np.generic], message: str
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(built / "scann", folder)
    np.save(folder / name, array)
    with pytest.raises(ReleaseError, match=message):
        open_index(folder, "scann")


@pytest.fixture(scope="module")
def shortened(tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.float32], Path]:
    """Vectors of 64 numbers along 32 directions, and a tree that knows them by 32."""
    folder = tmp_path_factory.mktemp("shortened") / "scann"
    turned = random_rotation(64)[:32]
    vectors = clustered(ROWS) @ turned
    projection = np.ascontiguousarray(turned.T)
    write_tree(vectors, folder, leaves_to_search=150, reorder=100, projection=projection)
    return vectors, folder


def test_a_tree_of_fewer_numbers_is_asked_by_whole_vectors(
    shortened: tuple[NDArray[np.float32], Path], built: Path
) -> None:
    whole, folder = shortened
    index = open_index(folder, "scann")
    assert (index.rows, index.dim) == whole.shape
    shares = []
    for query in clustered(40, seed=1) @ random_rotation(64)[:32]:
        rows, scores = index.search(query, 10)
        np.testing.assert_allclose(scores, whole[rows] @ query, atol=1e-5)
        shares.append(len(set(rows) & set(np.argsort(-(whole @ query))[:10])) / 10)
    assert np.mean(shares) >= 0.95
    sizes = [(path / "hashed_dataset.npy").stat().st_size for path in (folder, built / "scann")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_a_tree_of_an_older_release_knows_whole_rows(
    built: Path, vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(built / "scann", folder)
    search = json.loads((folder / "search.json").read_text())
    assert search.pop("tree_dim") == vectors.shape[1]
    (folder / "search.json").write_text(json.dumps(search))
    index, today = open_index(folder, "scann"), open_index(built / "scann", "scann")
    for query in clustered(10, seed=1):
        np.testing.assert_array_equal(index.search(query, 10), today.search(query, 10))


@pytest.mark.parametrize(
    "array",
    [
        None,
        np.zeros((63, 32), np.float32),
        np.zeros((64, 31), np.float32),
        np.zeros((64, 0), np.float32),
        np.zeros(64, np.float32),
        np.zeros((64, 32), np.float64),
        np.array([{}]),
    ],
)
def test_a_projection_that_does_not_fit_is_a_release_error(
    shortened: tuple[NDArray[np.float32], Path], tmp_path: Path, array: NDArray[np.generic] | None
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(shortened[1], folder)
    if array is None:
        (folder / "projection.npy").unlink()
    else:
        np.save(folder / "projection.npy", array, allow_pickle=array.dtype == object)
    with pytest.raises(ReleaseError, match=r"projection\.npy|index of kind scann"):
        open_index(folder, "scann")


def test_vectors_and_tree_of_two_indices_are_refused(built: Path, tmp_path: Path) -> None:
    write_tree(clustered(900), tmp_path / "small", leaves_to_search=3, reorder=50)
    shutil.copytree(built / "scann", tmp_path / "moved")
    for path in (built / "scann").iterdir():
        if path.name.startswith(("scann", "hashed", "ah_", "datapoint", "serialized")):
            shutil.copy(tmp_path / "small" / path.name, tmp_path / "moved" / path.name)
    with pytest.raises(ReleaseError, match="expected 6000 rows, as the vectors; found 900"):
        open_index(tmp_path / "moved", "scann")


def test_pickles_and_paths_out_of_the_folder_are_refused(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(built / "scann", folder)
    (folder / "scann_docids.pkl").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"found scann_docids\.pkl"):
        open_index(folder, "scann")
    (folder / "scann_docids.pkl").unlink()
    assets = folder / "scann_assets.pbtxt"
    changed = assets.read_text().replace("hashed_dataset.npy", "/etc/hashed_dataset.npy")
    assets.write_text(changed)
    with pytest.raises(ReleaseError, match=r"found /etc/hashed_dataset\.npy"):
        open_index(folder, "scann")


def test_a_tree_keeps_its_vectors_once(built: Path) -> None:
    """ScaNN holds 4-bit codes of both of a row's leaves, and no vectors of its own."""
    index = open_index(built / "scann", "scann")
    assert isinstance(index, TreeIndex)
    sizes = {path.name: path.stat().st_size for path in (built / "scann").iterdir()}
    row_bytes = {name: size / ROWS for name, size in sizes.items()}
    assert row_bytes.pop("dataset.npy") == pytest.approx(32, rel=0.01)
    assert max(row_bytes.values()) < 32
