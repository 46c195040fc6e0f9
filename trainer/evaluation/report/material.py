"""What a report is made of: the run's files, and the photos where the catalogue is at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from trainer.data.records import Catalog, Photo
from trainer.data.screen import OnBadPhoto
from trainer.evaluation.embedding_store import Embeddings, read_embeddings
from trainer.evaluation.evaluate import baselines, evaluate
from trainer.evaluation.tasks import file_suffix, main_task
from trainer.tracking.curves import read_curves
from trainer.training.experiment import Experiment
from trainer.training.run import Run


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Photos that the run never saw, by product, with their vectors.

    Attributes:
        photos: those of a product, in the catalogue's order.
        vectors: their unit rows.
        product: a number for each one's product.
        step: of the checkpoint that made the vectors.
    """

    photos: tuple[Photo, ...]
    vectors: Float32[np.ndarray, "photos dim"]
    product: Int64[np.ndarray, " photos"]
    step: int

    @classmethod
    def of(cls, embeddings: Embeddings) -> "Evaluated":
        """Leave out photos of no product: they can neither find nor be found."""
        known = [row for row, photo in enumerate(embeddings.photos) if photo.product_id]
        photos = tuple(embeddings.photos[row] for row in known)
        names = [photo.product_id for photo in photos]
        product = np.unique(np.array(names, np.str_), return_inverse=True)[1].astype(np.int64)
        return cls(photos, embeddings.vectors[known], product, embeddings.step)

    @cached_property
    def products(self) -> int:
        """How many there are."""
        return int(self.product.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class Material:
    """All that a report shows.

    Attributes:
        url: of the run.
        experiment: what it trains.
        settings: the same as JSON.
        trained_on: the run's own catalogue: name, photos, fingerprint.
        curves: the logged steps in order.
        evaluation: as `evaluate` gives it; None where nothing was evaluated.
        baselines: as `baselines` gives them; empty where none were measured.
        served: as `served_recall` gives it; None where no release was measured.
        calibration: the last release's, as publishing keeps it in the run; None where it has none.
        calibration_picture: the PNG beside it.
        evaluated: the vectors behind `evaluation`.
        catalog: reads the photos; None where the report does without.
    """

    url: str
    experiment: Experiment
    settings: Mapping[str, Any]
    trained_on: Mapping[str, Any]
    curves: Sequence[Mapping[str, Any]]
    evaluation: Mapping[str, Any] | None
    baselines: Mapping[str, Mapping[str, Any]]
    served: Mapping[str, Any] | None
    calibration: Mapping[str, Any] | None
    calibration_picture: bytes | None
    evaluated: Evaluated | None
    catalog: Catalog | None

    @property
    def task(self) -> str:
        """The search that is shown first; only where there are `evaluated` photos."""
        return "" if self.evaluated is None else main_task(self.evaluated.photos)[0]

    @property
    def figures(self) -> Mapping[str, Any] | None:
        """What was measured of that search."""
        return self.evaluation[self.task] if self.evaluation and self.task else None


def gather(run_url: str, catalog: Catalog | None, *, on_bad_photo: OnBadPhoto = "skip") -> Material:
    """Read what the run holds; with a catalogue, measure first what is missing or out of date.

    Args:
        run_url: a folder or gs://bucket/prefix.
        catalog: what was, or is to be, evaluated; None: the run's own evaluation, as it is stored.
        on_bad_photo: as `evaluate`.

    Raises:
        TrainingError: there is no run; with a catalogue, as `evaluate`.
        CatalogError: a photo cannot be read.
    """
    run = Run(run_url)
    record = run.record
    suffix = "" if catalog is None else file_suffix(run, catalog)
    if catalog is not None:
        stored = run.read_json(f"evaluation{suffix}.json")
        kept = read_embeddings(run, suffix)
        with run.checkpoints(read_only=True) as checkpoints:
            latest = checkpoints.latest
        if stored is None or kept is None or not stored["step"] == kept.step == latest:
            evaluate(run_url, catalog, on_bad_photo=on_bad_photo)
        if run.read_json(f"baselines{suffix}.json") is None:
            baselines(run_url, catalog)
    kept = read_embeddings(run, suffix)
    picture = run.storage.read_versioned(f"calibration{suffix}.png")
    return Material(
        url=run.url,
        experiment=run.experiment,
        settings=record["experiment"],
        trained_on=record["catalog"],
        curves=read_curves(run.storage),
        evaluation=run.read_json(f"evaluation{suffix}.json"),
        baselines=run.read_json(f"baselines{suffix}.json") or {},
        served=run.read_json(f"served{suffix}.json"),
        calibration=run.read_json(f"calibration{suffix}.json"),
        calibration_picture=picture[0] if picture else None,
        evaluated=None if kept is None else Evaluated.of(kept),
        catalog=catalog,
    )
