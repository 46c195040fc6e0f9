"""A run and a catalogue to a release: what `lookalike publish` does."""

from collections.abc import Mapping
from typing import Any

from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto, screen
from trainer.release.indexing import DEFAULT_RECALL
from trainer.release.precision import PrecisionChoice
from trainer.release.publish import publish
from trainer.training.run import Run

# Below the run, apart from what training found unreadable in its own catalogue.
_REPORTS = "release"


def publish_run(
    run_url: str,
    catalog: Catalog,
    root: str,
    *,
    image_base_url: str | None = None,
    precision: PrecisionChoice = "auto",
    on_bad_photo: OnBadPhoto = "skip",
    recall: float = DEFAULT_RECALL,
) -> str:
    """Publish a run's last checkpoint, to find the products of a catalogue.

    What `lookalike evaluate` measured of this checkpoint, if it did, goes into the manifest.

    Args:
        run_url: a folder or gs://bucket/prefix with at least one checkpoint.
        catalog: what is to be found; not necessarily what the run was trained on.
        root: where releases are kept: a folder or gs://bucket/prefix.
        image_base_url: where <root>/images is public; None: the function gives the photos out.
        precision: as for `publish`.
        on_bad_photo: "skip" lists unreadable photos in the run's release/; "fail" raises.
        recall: as for `publish`.

    Returns:
        The release's id, now the current one.

    Raises:
        TrainingError: no run, or no checkpoint yet.
        CatalogError, PublishError, StorageError: as `screen` and `publish`.
    """
    run = Run(run_url)
    model, step = run.load()
    evaluation = run.read_json("evaluation.json") or {}
    return publish(
        model,
        run.experiment.image_size,
        screen(catalog, on_bad_photo=on_bad_photo, report=run.storage.child(_REPORTS)),
        root,
        # Figures of an earlier checkpoint say nothing about this one.
        evaluation=published_figures(evaluation) if evaluation.get("step") == step else {},
        image_base_url=image_base_url,
        precision=precision,
        recall=recall,
    )


def published_figures(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what grows with the catalogue and what is for researchers alone."""
    return {
        name: {key: item for key, item in value.items() if key != "by_category"}
        if isinstance(value, dict)
        else value
        for name, value in evaluation.items()
        if name != "conventions"
    }
