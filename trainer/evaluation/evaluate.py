"""How often a run's network finds the right product, on products that it never saw."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from trainer.data.records import Catalog, Photo
from trainer.data.screen import screen
from trainer.errors import TrainingError
from trainer.evaluation.embedding import Embed, compiled, embed_photos
from trainer.evaluation.histogram import colour_histogram
from trainer.evaluation.metrics import retrieval_metrics
from trainer.training.compilation import keep_compiled_programs
from trainer.training.initial import initial_config, initial_model
from trainer.training.run import Run

BATCH_SIZE = 64


def evaluate(run_url: str, catalog: Catalog, *, workers: int | None = None) -> dict[str, Any]:
    """Measure a run's last checkpoint, and write what was measured into the run.

    On the run's own catalogue only products kept unseen in training count; on another all do.

    Args:
        run_url: a folder or gs://bucket/prefix with at least one checkpoint.
        catalog: what to evaluate on.
        workers: threads that decode; None: one per processor.

    Returns:
        JSON's own types:
        - query_to_catalog: photos with role "query" search those with role "catalog"; the figures
          of `RetrievalMetrics.to_dict`; None where the catalogue has no such roles.
        - leave_one_out: each photo of a product searches all others, whatever their role.
        - open_set_queries: photos of no product; counted, not measured.
        - products, photos: how many were evaluated.
        - catalog, catalog_name: the catalogue's fingerprint and name.
        - step: of the checkpoint.

    Raises:
        TrainingError: no run, no checkpoint yet, or no product was kept unseen.
        CatalogError: a photo cannot be read.
    """
    keep_compiled_programs()
    run = Run(run_url)
    model, step = run.load()
    photos = _unseen(run, catalog)
    results = _measured(
        compiled(model), photos, run.experiment.image_size, "Embedding photos", workers
    )
    results |= {"catalog": catalog.fingerprint, "catalog_name": catalog.name, "step": step}
    own = run.is_own(catalog)
    name = "evaluation.json" if own else f"evaluation-{catalog.fingerprint[:12]}.json"
    run.write_json(name, results)
    return results


def baselines(
    run_url: str, catalog: Catalog, *, workers: int | None = None
) -> dict[str, dict[str, Any]]:
    """Measure what any training must beat, on the photos that `evaluate` takes.

    Args:
        run_url: a run on this catalogue, or on another; it needs no checkpoint.
        catalog: what to evaluate on.
        workers: threads that decode; None: one per processor.

    Returns:
        By name, each as `evaluate` measures: `colour_histogram`, and `untrained_network`, the
        pooled features of the run's network as it was before the first step; this is left out
        where the run trains nothing, for it is the run's network itself.

    Raises:
        TrainingError, CatalogError: as `evaluate`.
    """
    keep_compiled_programs()
    run = Run(run_url)
    experiment = run.experiment
    photos = _unseen(run, catalog)
    candidates: dict[str, Embed] = {"colour_histogram": colour_histogram}
    if experiment.steps:
        untrained = replace(experiment, steps=0)
        candidates["untrained_network"] = compiled(
            initial_model(untrained, initial_config(untrained))
        )
    return {
        name: _measured(
            embed, photos, experiment.image_size, name.replace("_", " ").capitalize(), workers
        )
        for name, embed in candidates.items()
    }


def _unseen(run: Run, catalog: Catalog) -> Catalog:
    if not run.is_own(catalog):
        return screen(catalog)
    evaluation = run.split(catalog).evaluation
    if not any(photo.product_id for photo in evaluation.photos):
        raise TrainingError(
            f"{run.url} kept no product of {catalog.name} unseen (--holdout "
            f"{run.experiment.holdout}): evaluate on another catalogue, or train with a holdout."
        )
    return evaluation


def _measured(
    embed: Embed, catalog: Catalog, image_size: int, label: str, workers: int | None
) -> dict[str, Any]:
    vectors = embed_photos(
        embed, catalog, image_size, batch_size=BATCH_SIZE, label=label, workers=workers
    )
    photos = catalog.photos
    known = [row for row, photo in enumerate(photos) if photo.product_id]
    queries = [row for row in known if photos[row].role == "query"]
    gallery = [row for row in known if photos[row].role == "catalog"]
    return {
        "query_to_catalog": _retrieval(photos, vectors, queries, gallery)
        if queries and gallery
        else None,
        "leave_one_out": _retrieval(photos, vectors, known, known),
        "open_set_queries": len(photos) - len(known),
        "products": len({photos[row].product_id for row in known}),
        "photos": len(photos),
    }


def _retrieval(
    photos: Sequence[Photo],
    vectors: Float32[np.ndarray, "photos dim"],
    queries: Sequence[int],
    gallery: Sequence[int],
) -> dict[str, float | int | None]:
    place = {row: number for number, row in enumerate(gallery)}
    return retrieval_metrics(
        vectors[list(queries)],
        [photos[row].product_id for row in queries],
        vectors[list(gallery)],
        [photos[row].product_id for row in gallery],
        self_index=np.array([place.get(row, -1) for row in queries]),
    ).to_dict()
