"""A run and a catalogue to a release: what `lookalike publish` does."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from function.release import read_manifest, release_prefix
from function.storage import Storage, open_storage
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto, screen
from trainer.evaluation.tasks import file_suffix
from trainer.release.calibration.figure import CALIBRATION
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.indexing import DEFAULT_RECALL
from trainer.release.precision import MAX_PHOTOS, PrecisionChoice
from trainer.release.publish import publish
from trainer.release.rows import Rows
from trainer.release.sampling import sampled_products
from trainer.release.shards.cluster import Cluster
from trainer.training.run import Run

# Below the run, apart from what training found unreadable in its own catalogue.
_REPORTS = "release"

# Of a catalogue that a cluster embeds; the program is measured with half as many.
MOST_TRIED = 2 * MAX_PHOTOS


def publish_run(
    run_url: str,
    catalog: Catalog,
    root: str,
    *,
    image_base_url: str | None = None,
    precision: PrecisionChoice = "auto",
    on_bad_photo: OnBadPhoto = "skip",
    recall: float = DEFAULT_RECALL,
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
    cluster: Cluster | None = None,
    rows: Rows | None = None,
) -> str:
    """Publish a run's last checkpoint, to find the products of a catalogue.

    What `lookalike evaluate` measured of this checkpoint, if it did, goes into the manifest. The
    scores are calibrated with the products that the run never saw; of another catalogue than its
    own these are all.

    Args:
        run_url: a folder or gs://bucket/prefix with at least one checkpoint.
        catalog: what is to be found; not necessarily what the run was trained on.
        root: where releases are kept: a folder or gs://bucket/prefix.
        image_base_url: where <root>/images is public; None: the function gives the photos out.
        precision: as for `publish`.
        on_bad_photo: "skip" lists unreadable photos in the run's release/; "fail" raises.
        recall, false_match_rate, rows: as for `publish`.
        cluster: what embeds the photos, and finds those of a large catalogue that cannot be read;
            None: this process.

    Returns:
        The release's id, now the current one.

    Raises:
        TrainingError: no run, or no checkpoint yet.
        CatalogError, PublishError, StorageError: as `screen` and `publish`.
    """
    run = Run(run_url)
    model, step = run.load()
    report = reports_of(run)
    # On a cluster this machine reads only what it measures the program with.
    checked = catalog if cluster is None else _sample(catalog)
    screened = screen(checked, on_bad_photo=on_bad_photo, report=report)
    bad = {*checked.photos} - {*screened.photos}
    release_id = publish(
        model,
        run.experiment.image_size,
        catalog.subset(photo for photo in catalog.photos if photo not in bad),
        root,
        evaluation=measured_before(run, step),
        image_base_url=image_base_url,
        precision=precision,
        recall=recall,
        unseen=unseen_products(run, catalog),
        false_match_rate=false_match_rate,
        cluster=cluster,
        tried=screened.subset(photo for photo in screened.photos if photo.role != "query"),
        on_bad_photo=on_bad_photo,
        report=report,
        rows=rows,
    )
    _keep_calibration(run, file_suffix(run, catalog), open_storage(root), release_id)
    return release_id


def _sample(catalog: Catalog) -> Catalog:
    """Return all queries, and of the others so many, whole products, as a program is measured with.

    In the catalogue's order; a small one is returned whole.
    """
    listed = [photo for photo in catalog.photos if photo.role != "query"]
    chosen = {*sampled_products(listed, len(listed), MOST_TRIED)}
    return catalog.subset(
        photo for photo in catalog.photos if photo.role == "query" or photo in chosen
    )


def reports_of(run: Run) -> Storage:
    """Return where a publication lists what it could not read."""
    return run.storage.child(_REPORTS)


def measured_before(run: Run, step: int) -> dict[str, Any]:
    """Return what was measured of a run's checkpoint; nothing where it was of an earlier one."""
    evaluation = run.read_json("evaluation.json") or {}
    return published_figures(evaluation) if evaluation.get("step") == step else {}


def unseen_products(run: Run, catalog: Catalog) -> set[str]:
    """Return which products of a catalogue the run was not trained on; of another's, all."""
    photos = (run.split(catalog).evaluation if run.is_own(catalog) else catalog).photos
    return {photo.product_id for photo in photos} - {""}


def _keep_calibration(run: Run, suffix: str, root: Storage, release_id: str) -> None:
    """Keep the release's calibration in the run, for its report."""
    calibration = read_manifest(root, release_id).calibration
    if calibration is None:
        run.storage.delete(f"calibration{suffix}.json")
        run.storage.delete(f"calibration{suffix}.png")
        return
    picture = root.read(f"{release_prefix(release_id)}/{CALIBRATION}")
    run.storage.write(f"calibration{suffix}.png", picture, content_type="image/png")
    run.write_json(f"calibration{suffix}.json", {"release": release_id, **asdict(calibration)})


def published_figures(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what grows with the catalogue and what is for researchers alone."""
    return {
        name: {key: item for key, item in value.items() if key != "by_category"}
        if isinstance(value, dict)
        else value
        for name, value in evaluation.items()
        if name != "conventions"
    }
