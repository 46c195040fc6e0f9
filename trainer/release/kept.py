"""What a later update needs of a release, and no function fetches: a folder of its own.

    update/vectors.npy      [photos, dim] float32; only where the index keeps them in fewer bits
    update/signatures.npz   what copies among the photos are recognised by
    update/questions.npz    vectors of the photos that tuned the index and calibrated the scores

Without the float vectors an update would build on rounded ones, and measure itself against them.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from function.manifest import INDEX, RowType
from function.vectors import DATASET
from trainer.errors import PublishError
from trainer.evaluation.attribution import Queries
from trainer.release.copies import Signatures
from trainer.release.questions import Answerable

UPDATE = "update"
_VECTORS, _SIGNATURES, _QUESTIONS = "vectors.npy", "signatures.npz", "questions.npz"


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept.

    Attributes:
        vectors: unit rows, as the program gave them.
        signatures: of the photos.
        customers: vectors of photos that the release does not hold; None where there were none.
        answerable: queries that calibrate the scores; None: they are not calibrated.
    """

    vectors: Float[np.ndarray, "photos dim"]
    signatures: Signatures
    customers: Float[np.ndarray, "customers dim"] | None
    answerable: Answerable | None


def save_kept(kept: Kept, folder: Path, *, row_type: RowType) -> None:
    """Write it into a release's folder.

    Args:
        kept: of this release.
        folder: the release's.
        row_type: of the index; float32 rows are not written again.
    """
    place = folder / UPDATE
    place.mkdir()
    if row_type != "float32":
        np.save(place / _VECTORS, kept.vectors)
    np.savez(place / _SIGNATURES, hashes=kept.signatures.hashes, pixels=kept.signatures.pixels)
    none = kept.vectors[:0]
    asked = kept.answerable or Answerable(Queries([], np.empty(0, np.int64)), none)
    np.savez(
        place / _QUESTIONS,
        customers=none if kept.customers is None else kept.customers,
        vectors=asked.vectors,
        products=np.array(asked.queries.products, np.str_),
        own_rows=asked.queries.own_rows,
    )


def load_kept(folder: Path) -> Kept:
    """Read it from a release's folder; PublishError where it was published without."""
    place = folder / UPDATE
    try:
        rounded = (place / _VECTORS).exists()
        vectors = np.load(place / _VECTORS if rounded else folder / INDEX / DATASET)
        with np.load(place / _SIGNATURES) as file:
            signatures = Signatures(file["hashes"], file["pixels"])
        with np.load(place / _QUESTIONS) as file:
            customers, asked = file["customers"], file["vectors"]
            queries = Queries(file["products"].tolist(), file["own_rows"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise PublishError(
            f"Expected a release with {UPDATE}/, which updates build on; found none in "
            f"{folder.name}. Publish once in full."
        ) from error
    return Kept(
        vectors,
        signatures,
        customers if len(customers) else None,
        Answerable(queries, asked) if len(asked) else None,
    )
