"""Which photos are evaluated, and which of them search among which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from trainer.data.records import Catalog, Photo
from trainer.data.screen import OnBadPhoto, screen
from trainer.errors import TrainingError
from trainer.training.run import Run

# Below the run, apart from what training found unreadable in its own catalogue.
_REPORTS = "evaluation"


@dataclass(frozen=True)
class Task:
    """Which photos search among which, by their number; nothing finds itself."""

    queries: Sequence[int]
    gallery: Sequence[int]

    @property
    def self_index(self) -> Int[np.ndarray, " queries"]:
        """Each query's place in the gallery, -1 where it has none."""
        place = {row: number for number, row in enumerate(self.gallery)}
        return np.array([place.get(row, -1) for row in self.queries], np.int64)


def tasks(photos: Sequence[Photo]) -> dict[str, Task | None]:
    """Return the searches that are measured, by name; None where the photos' roles allow none.

    Photos of no product take part in neither.

    Returns:
        - query_to_catalog: photos with role "query" search those with role "catalog".
        - leave_one_out: each photo searches all others, whatever their role.
    """
    known = [row for row, photo in enumerate(photos) if photo.product_id]
    queries = [row for row in known if photos[row].role == "query"]
    gallery = [row for row in known if photos[row].role == "catalog"]
    return {
        "query_to_catalog": Task(queries, gallery) if queries and gallery else None,
        "leave_one_out": Task(known, known),
    }


def main_task(photos: Sequence[Photo]) -> tuple[str, Task]:
    """Return the search that is shown first: from photo to catalogue where it can be."""
    return next((name, task) for name, task in tasks(photos).items() if task)


def evaluated_photos(run: Run, catalog: Catalog, on_bad_photo: OnBadPhoto = "skip") -> Catalog:
    """Return what of a catalogue the run never saw, screened; of another than its own, all.

    Args:
        run: decides by its experiment and split.
        catalog: as opened.
        on_bad_photo: "skip" lists unreadable photos in the run; "fail" raises.

    Raises:
        TrainingError: there is no run, or it kept no product of its catalogue unseen.
        CatalogError: as `screen`.
    """
    if not run.is_own(catalog):
        return screen(catalog, on_bad_photo=on_bad_photo, report=run.storage.child(_REPORTS))
    evaluation = run.split(catalog, on_bad_photo=on_bad_photo).evaluation
    if not any(photo.product_id for photo in evaluation.photos):
        raise TrainingError(
            f"{run.url} kept no product of {catalog.name} unseen (--holdout "
            f"{run.experiment.holdout}): evaluate on another catalogue, or train with a holdout."
        )
    return evaluation


def file_suffix(run: Run, catalog: Catalog) -> str:
    """Return what marks the names of files about another catalogue than the run's own."""
    return "" if run.is_own(catalog) else f"-{catalog.fingerprint[:12]}"
