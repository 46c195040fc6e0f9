"""How often a run's network finds the right product, on products that it never saw."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from trainer.data.records import Catalog, Photo
from trainer.data.screen import OnBadPhoto
from trainer.evaluation.averages import summary
from trainer.evaluation.conventions import score_by_conventions
from trainer.evaluation.embedding import Embed, compiled, embed_photos
from trainer.evaluation.embedding_store import Embeddings, write_embeddings
from trainer.evaluation.histogram import colour_histogram
from trainer.evaluation.metrics import RetrievalMetrics, retrieval_metrics
from trainer.evaluation.retrieval_sheet import retrieval_sheet
from trainer.evaluation.tasks import Task, evaluated_photos, file_suffix, main_task, tasks
from trainer.training.compilation import keep_compiled_programs
from trainer.training.initial import initial_config, initial_model
from trainer.training.run import Run

BATCH_SIZE = 64

type Vectors = Float32[np.ndarray, "photos dim"]


def evaluate(
    run_url: str,
    catalog: Catalog,
    *,
    on_bad_photo: OnBadPhoto = "skip",
    conventions: bool = False,
    workers: int | None = None,
) -> dict[str, Any]:
    """Measure a run's last checkpoint, and write what was measured into the run.

    Beside the figures a picture of what is found, and the vectors, for reports.

    On the run's own catalogue only products kept unseen in training count; on another all do.

    Args:
        run_url: a folder or gs://bucket/prefix with at least one checkpoint.
        catalog: what to evaluate on.
        on_bad_photo: "skip" lists unreadable photos in the run (those of another catalogue in its
            evaluation/); "fail" raises.
        conventions: score the same vectors as other libraries and papers do besides.
        workers: threads that decode; None: one per processor.

    Returns:
        JSON's own types:
        - query_to_catalog: photos with role "query" search those with role "catalog"; as
          `averages.summary` gives it; None where the catalogue has no such roles.
        - leave_one_out: each photo of a product searches all others, whatever their role.
        - open_set_queries: photos of no product; counted, not measured.
        - products, photos: how many were evaluated.
        - catalog, catalog_name: the catalogue's fingerprint and name.
        - step: of the checkpoint.
        - conventions, if asked for: by task what `score_by_conventions` gives.

    Raises:
        TrainingError: no run, no checkpoint yet, or no product was kept unseen.
        CatalogError: a photo cannot be read.
    """
    keep_compiled_programs()
    run = Run(run_url)
    model, step = run.load()
    photos = evaluated_photos(run, catalog, on_bad_photo)
    vectors = embed_photos(
        compiled(model),
        photos,
        run.experiment.image_size,
        batch_size=BATCH_SIZE,
        workers=workers,
    )
    results = _measured(photos.photos, vectors)
    results |= {"catalog": catalog.fingerprint, "catalog_name": catalog.name, "step": step}
    if conventions:
        results["conventions"] = {
            name: task and score_by_conventions(**_task_arguments(photos.photos, vectors, task))
            for name, task in tasks(photos.photos).items()
        }
    suffix = file_suffix(run, catalog)
    write_embeddings(run, suffix, Embeddings(photos.photos, vectors, step, catalog.name))
    run.write_json(f"evaluation{suffix}.json", results)
    run.storage.write(f"retrieval{suffix}.png", _picture(photos, vectors), content_type="image/png")
    return results


def baselines(
    run_url: str, catalog: Catalog, *, workers: int | None = None
) -> dict[str, dict[str, Any]]:
    """Measure what any training must beat, on the photos that `evaluate` takes; kept in the run.

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
    photos = evaluated_photos(run, catalog)
    candidates: dict[str, Embed] = {"colour_histogram": colour_histogram}
    if experiment.steps:
        untrained = replace(experiment, steps=0)
        candidates["untrained_network"] = compiled(
            initial_model(untrained, initial_config(untrained))
        )
    results = {
        name: _measured(
            photos.photos,
            embed_photos(
                embed,
                photos,
                experiment.image_size,
                batch_size=BATCH_SIZE,
                label=name.replace("_", " ").capitalize(),
                workers=workers,
            ),
        )
        for name, embed in candidates.items()
    }
    run.write_json(f"baselines{file_suffix(run, catalog)}.json", results)
    return results


def _measured(photos: Sequence[Photo], vectors: Vectors) -> dict[str, Any]:
    known = [photo for photo in photos if photo.product_id]
    retrieved = {
        name: task
        and summary(
            _retrieval(photos, vectors, task), [photos[row].category for row in task.queries]
        )
        for name, task in tasks(photos).items()
    }
    return {
        **retrieved,
        "open_set_queries": len(photos) - len(known),
        "products": len({photo.product_id for photo in known}),
        "photos": len(photos),
    }


def _retrieval(photos: Sequence[Photo], vectors: Vectors, task: Task) -> RetrievalMetrics:
    return retrieval_metrics(**_task_arguments(photos, vectors, task))


def _task_arguments(photos: Sequence[Photo], vectors: Vectors, task: Task) -> dict[str, Any]:
    return {
        "queries": vectors[list(task.queries)],
        "query_ids": [photos[row].product_id for row in task.queries],
        "gallery": vectors[list(task.gallery)],
        "gallery_ids": [photos[row].product_id for row in task.gallery],
        "self_index": task.self_index,
    }


def _picture(catalog: Catalog, vectors: Vectors) -> bytes:
    """A PNG of what is found, and where it goes wrong: from photo to catalogue where it can be."""
    photos = catalog.photos
    name, task = main_task(photos)
    sheet = retrieval_sheet(
        [photos[row] for row in task.queries],
        vectors[list(task.queries)],
        [photos[row] for row in task.gallery],
        vectors[list(task.gallery)],
        _retrieval(photos, vectors, task),
        catalog.read,
        self_index=task.self_index,
        heading=f"{catalog.name}: {name.replace('_', ' ')}",
    )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
