"""The whole path in one call: photos, training, evaluation, a release that can be served."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from function.release import current_release_id
from function.storage import Storage, open_storage
from trainer import experiments
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.data.studio import write_studio_catalog
from trainer.progress import console
from trainer.training.experiment import Experiment

DEFAULT_FOLDER = Path(".lookalike")
STUDIO_PRODUCTS = 240
STUDIO_PHOTOS_PER_PRODUCT = 12
# Pretrained weights are served as they are, at the resolution that they were trained on.
PRETRAINED_IMAGE_SIZE = 224

_OUTCOME, _RUNS, _CATALOG = "demo.json", "runs", "catalog"


@dataclass(frozen=True)
class Outcome:
    """What the demo made."""

    root: Path
    """Holds the release, and below it the run and the synthetic catalogue."""
    release_id: str
    results: Mapping[str, Mapping[str, Any]]
    """Of the colour histogram, the untrained and the served network: as `evaluate` gives them."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types."""
        return {**asdict(self), "root": str(self.root)}

    def table(self) -> Table:
        """Return the recalls, for people."""
        table = Table("R@1 on unseen products", "photo → catalogue", "leave-one-out")
        for name, metrics in self.results.items():
            table.add_row(
                name.replace("_", " "),
                *(_percent(metrics[task]) for task in ("query_to_catalog", "leave_one_out")),
            )
        return table


def run(
    *, catalog: str | None = None, weights: Path | None = None, root: Path | None = None
) -> Outcome:
    """Make the demo, or what of it is missing; a second call finds all done and is quick.

    Args:
        catalog: where a catalogue lies; None: the synthetic one, made here.
        weights: a pretrained ResNet-50's, served as they are; None: a small network is trained.
        root: the folder for everything; None: .lookalike/NAME, after the catalogue.

    Raises:
        LookalikeError: the catalogue or the weights cannot be used.
    """
    experiment = _experiment(weights)
    if catalog is None:
        root = root or DEFAULT_FOLDER / "studio"
        write_studio_catalog(
            root / _CATALOG,
            products=STUDIO_PRODUCTS,
            photos_per_product=STUDIO_PHOTOS_PER_PRODUCT,
        )
        photos = open_catalog(root / _CATALOG)
    else:
        photos = open_catalog(catalog)
        root = root or DEFAULT_FOLDER / photos.name
    storage = open_storage(root)
    # As JSON gives it back: tuples become lists.
    asked = json.loads(
        json.dumps({"catalog": photos.fingerprint, "experiment": experiment.to_dict()})
    )
    return _finished(storage, root, asked) or _make(storage, root, asked, photos, experiment)


def _experiment(weights: Path | None) -> Experiment:
    if weights is None:
        return experiments.load("studio")
    return replace(
        experiments.load("default"), weights=weights, steps=0, image_size=PRETRAINED_IMAGE_SIZE
    )


def _finished(storage: Storage, root: Path, asked: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome of an earlier call for the same, if its release is still current."""
    found = storage.read_versioned(_OUTCOME)
    if found is None:
        return None
    outcome = json.loads(found[0])
    if asked != outcome["asked"] or outcome["release_id"] != current_release_id(storage):
        return None
    console.print(f"{root}: all done before.")
    return Outcome(root, outcome["release_id"], outcome["results"])


def _make(
    storage: Storage, root: Path, asked: Mapping[str, Any], catalog: Catalog, experiment: Experiment
) -> Outcome:
    # Imported here: a finished demo starts without waiting for JAX.
    from trainer.evaluation.evaluate import baselines, evaluate
    from trainer.release.from_run import publish_run
    from trainer.training.loop import train

    # Another catalogue, other weights or another experiment get a run of their own.
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    run_url = str(root / _RUNS / f"demo-{key}")
    train(catalog, run_url, experiment).check_not_interrupted()
    results = {
        **baselines(run_url, catalog),
        "trained" if experiment.steps else "pretrained": evaluate(run_url, catalog),
    }
    release_id = publish_run(run_url, catalog, str(root))
    outcome = {"asked": asked, "release_id": release_id, "results": results}
    storage.write(_OUTCOME, json.dumps(outcome, indent=2).encode(), content_type="application/json")
    return Outcome(root, release_id, results)


def _percent(metrics: Mapping[str, Any] | None) -> str:
    return f"{metrics['recall_at_1']:.1%}" if metrics else "–"
