"""What a function must answer to a release's golden photos, told from the release's own files.

A function serves only where its program's vector for a golden photo has a cosine of at least
GOLDEN_COSINE with the one that the release states, that is an angle of at most α. Angles obey the
triangle inequality: if the golden vector's nearest row lies at the angle θ, the function's own
nearest row lies between θ - α and θ + α, and at most at θ + 2α from the golden vector. The first
bounds the best score, the second the products that may have it.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from math import acos, cos, pi
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from function.errors import ReleaseError
from function.file_catalog import FileCatalog, open_catalog
from function.golden import GOLDEN_COSINE, read_golden
from function.manifest import CATALOG, GOLDEN, INDEX, Manifest
from function.release import file_info, release_prefix
from function.storage import Storage
from function.vectors import DATASET, ROTATION, SCALES, StoredVectors, open_vectors

_PARTS = (GOLDEN, CATALOG, *(f"{INDEX}/{name}" for name in (DATASET, SCALES, ROTATION)))
_ANGLE = acos(GOLDEN_COSINE)

# Rows of integers are not quite of length 1, and answers round scores to six digits.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Outcome:
    """What one precision of the program may answer.

    Attributes:
        lowest, highest: bounds of the best result's score, -1 to 1.
        products: ids, one of which the best result must have.
    """

    lowest: float
    highest: float
    products: frozenset[str]

    def allows(self, score: float, product: str) -> bool:
        """Say whether a best result is one of these."""
        return self.lowest <= score <= self.highest and product in self.products

    def __str__(self) -> str:
        few = ", ".join(sorted(self.products)[:3])
        more = len(self.products) - 3
        return f"{self.lowest:.4f} to {self.highest:.4f} for {few}" + (
            f" or one of {more} others" if more > 0 else ""
        )


@dataclass(frozen=True)
class Expectation:
    """What must come back for one photo.

    Attributes:
        png: the photo, without loss, at the model's size, so that nothing is resized.
        outcomes: one for each precision that the function may run; the processor decides which.
    """

    png: bytes
    outcomes: tuple[Outcome, ...]


def fetch_parts(storage: Storage, manifest: Manifest, destination: Path) -> Path:
    """Bring what tells the answers, without any program, and verify it by size and SHA-256.

    Args:
        storage: the root; where it is a local folder nothing is copied.
        manifest: of the release.
        destination: an existing, empty folder.

    Returns:
        The folder with these files.

    Raises:
        ReleaseError: a file differs from the manifest.
        StorageError: the root cannot be read.
    """
    source = storage.child(release_prefix(manifest.release_id))
    folder = source.folder or destination
    for name in filter(manifest.files.__contains__, _PARTS):
        if source.folder is None:
            source.download(name, folder / name)
        found, expected = file_info(folder / name), manifest.files[name]
        if found != expected:
            raise ReleaseError(
                f"{name} of release {manifest.release_id}: expected {expected.size} bytes with "
                f"SHA-256 {expected.sha256}; found {found.size} with {found.sha256}. The release "
                "is damaged: publish again, or point at another release."
            )
    return folder


def expectations(folder: Path) -> Iterator[Expectation]:
    """Yield what must come back for each golden photo, from the files of `fetch_parts`.

    Raises:
        ReleaseError: a file is not of the form that it should have.
    """
    pixels, golden = read_golden(folder / GOLDEN)
    stored = open_vectors(folder / INDEX)
    with closing(open_catalog(folder / CATALOG)) as catalog:
        for number, photo in enumerate(pixels):
            vectors = [rows[number] for rows in golden.values()]
            yield Expectation(
                _png(photo), tuple(_outcome(vector, stored, catalog) for vector in vectors)
            )


def _outcome(vector: NDArray[np.float32], stored: StoredVectors, catalog: FileCatalog) -> Outcome:
    scores = np.clip(stored.scores(vector), -1, 1)
    nearest = acos(float(scores.max()))
    near = np.flatnonzero(scores >= _cosine(nearest + 2 * _ANGLE) - _ROUNDING)
    return Outcome(
        lowest=_cosine(nearest + _ANGLE) - _ROUNDING,
        highest=_cosine(nearest - _ANGLE) + _ROUNDING,
        products=frozenset(image.product_id for image in catalog.images(near.tolist())),
    )


def _cosine(angle: float) -> float:
    return cos(min(max(angle, 0), pi))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
