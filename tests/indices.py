"""Small indices of a kind, a row type and parameters of the test's choice."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from function.catalog import ImageRow, Product
from function.file_index import FileIndex
from function.manifest import RowType
from function.vector_index import Entry
from function.vectors import save_vectors
from trainer.release.indexing import build_tree


def write_exact(
    vectors: NDArray[np.float32], folder: Path, *, row_type: RowType = "float32"
) -> None:
    """Write an exact index of unit vectors into a new folder."""
    folder.mkdir()
    save_vectors(vectors, folder, row_type)


def write_tree(
    vectors: NDArray[np.float32],
    folder: Path,
    *,
    leaves_to_search: int,
    reorder: int,
    row_type: RowType = "float32",
    projection: NDArray[np.float32] | None = None,
) -> None:
    """Write a tree over unit vectors into a new folder."""
    write_exact(vectors, folder, row_type=row_type)
    tree = build_tree(vectors, folder, projection)
    tree.searched(min(tree.leaves, leaves_to_search), reorder).save(folder)


def photo_index(vectors: NDArray[np.float32]) -> FileIndex:
    """Unit vectors [rows, dim], each of a photo of a product of its own, named by its row."""
    with TemporaryDirectory() as folder:
        index = FileIndex.create(Path(folder), vectors.shape[1])
        index.load(
            Entry(Product(str(row)), ImageRow(row, str(row), "photo"), vector)
            for row, vector in enumerate(vectors)
        )
        # What it mapped and holds open outlasts the folder.
        return index
