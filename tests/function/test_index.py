"""Nearest rows, from ScaNN and from NumPy alike."""

import itertools
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from function.errors import ReleaseError
from function.index import NumpyIndex, open_index
from trainer.release.indexing import build_index

Kind = pytest.mark.parametrize("kind", ["exact", "scann"])


def clustered(rows: int, dim: int = 32, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors in groups of some six, as photos of one product are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(2, rows // 6), dim))
    vectors = centres[random.integers(0, len(centres), rows)] + 0.5 * random.normal(
        size=(rows, dim)
    )
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    return clustered(2000)


@pytest.fixture(scope="module")
def built(vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("indices")
    for kind, exact_rows in (("exact", 2000), ("scann", 100)):
        (root / kind).mkdir()
        assert build_index(vectors, root / kind, exact_rows=exact_rows).kind == kind
    return root


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
        np.testing.assert_allclose(scores, vectors[rows] @ query, atol=1e-5)
        assert np.all(np.diff(scores) <= 0)
        shared.append(len(set(rows) & set(expected)) / 10)
        if kind == "exact":
            np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    assert np.mean(shared) == 1.0 if kind == "exact" else np.mean(shared) > 0.8


@Kind
@pytest.mark.parametrize("k", [1, 150, 1999, 2000, 5000])
def test_any_number_of_rows_can_be_asked_for(
    built: Path, vectors: NDArray[np.float32], kind: str, k: int
) -> None:
    rows, scores = open_index(built / kind, kind).search(vectors[7], k)
    assert rows[0] == 7
    assert len(set(rows)) == len(rows) == len(scores)
    assert np.isfinite(scores).all()
    assert len(rows) == min(k, 2000) or (kind == "scann" and len(rows) > 0.9 * k)


@Kind
@pytest.mark.parametrize("share", [0, 0.001, 0.1, 1])
def test_rows_that_are_not_allowed_are_never_found_and_the_others_all(
    built: Path, vectors: NDArray[np.float32], kind: str, share: float
) -> None:
    index = open_index(built / kind, kind)
    allowed = np.random.default_rng(0).random(2000) < share
    left = np.flatnonzero(allowed)
    for query in clustered(10, seed=1):
        rows, scores = index.search(query, 10, allowed)
        np.testing.assert_array_equal(rows, left[np.argsort(-(vectors[left] @ query))][:10])
        np.testing.assert_allclose(scores, vectors[rows] @ query, atol=1e-5)


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
    rows, scores = index.search(vectors[3], 5000)
    assert rows[0] == 3
    assert len(rows) == 2000
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


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *itertools.product(("exact", "scann"), ("dataset.npy", "scann_config.pb")),
        ("scann", "search.json"),
    ],
)
def test_damaged_files_are_a_release_error(
    built: Path, tmp_path: Path, kind: str, damage: str
) -> None:
    shutil.copytree(built / kind, tmp_path / "moved")
    (tmp_path / "moved" / damage).write_bytes(b"~")
    with pytest.raises(ReleaseError, match=f"index of kind {kind}"):
        open_index(tmp_path / "moved", kind)
    shutil.rmtree(tmp_path / "moved")
    with pytest.raises(ReleaseError, match="index"):
        open_index(tmp_path / "moved", kind)


def test_pickles_and_paths_out_of_the_folder_are_refused(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(built / "exact", folder)
    (folder / "scann_docids.pkl").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"found scann_docids\.pkl"):
        open_index(folder, "exact")
    (folder / "scann_docids.pkl").unlink()
    assets = folder / "scann_assets.pbtxt"
    assets.write_text(assets.read_text().replace("dataset.npy", "/etc/dataset.npy"))
    with pytest.raises(ReleaseError, match=r"found /etc/dataset\.npy"):
        open_index(folder, "exact")
