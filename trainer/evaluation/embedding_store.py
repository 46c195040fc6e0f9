"""The vectors of an evaluation, kept in the run: reports are made of them without the network."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO

import numpy as np
from jaxtyping import Float32

from trainer.data.records import Photo
from trainer.training.run import Run


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Photos and their vectors, row for row.

    Attributes:
        photos: as the catalogue lists them.
        vectors: unit rows.
        step: of the checkpoint that made them.
        catalog: the catalogue's name.
    """

    photos: tuple[Photo, ...]
    vectors: Float32[np.ndarray, "photos dim"]
    step: int
    catalog: str


def write_embeddings(run: Run, suffix: str, embeddings: Embeddings) -> None:
    """Write embeddings<suffix>.npz into the run: NumPy's format, without pickle."""
    file = BytesIO()
    # The photos as UTF-8 JSON: NumPy pads all texts of an array to the longest.
    photos = json.dumps([asdict(photo) for photo in embeddings.photos], ensure_ascii=False)
    np.savez(
        file,
        vectors=embeddings.vectors,
        photos=np.frombuffer(photos.encode(), np.uint8),
        step=np.int64(embeddings.step),
        catalog=np.str_(embeddings.catalog),
    )
    run.storage.write(f"embeddings{suffix}.npz", file.getvalue())


def read_embeddings(run: Run, suffix: str) -> Embeddings | None:
    """Return what `write_embeddings` wrote; None where there is none."""
    found = run.storage.read_versioned(f"embeddings{suffix}.npz")
    if found is None:
        return None
    with np.load(BytesIO(found[0]), allow_pickle=False) as stored:
        photos: Sequence[dict[str, object]] = json.loads(stored["photos"].tobytes())
        return Embeddings(
            tuple(_photo(values) for values in photos),
            stored["vectors"],
            int(stored["step"]),
            str(stored["catalog"]),
        )


def _photo(values: dict[str, object]) -> Photo:
    labels: list[list[str]] = values["labels"]  # type: ignore[assignment]
    # Runs that were evaluated before there were product sets have none.
    names: list[str] = values.get("product_sets", [])  # type: ignore[assignment]
    many = {"labels": tuple(map(tuple, labels)), "product_sets": tuple(names)}
    return Photo(**{**values, **many})  # type: ignore[arg-type]
