"""A run: one experiment on one catalogue, and all that came of it, in a folder or on gs://.

experiment.json     what is trained and on which catalogue; written first, never changed
split.json          which products are trained on, which are kept unseen
bad_photos.csv      photos that could not be read, if there are any
checkpoints/        by step, the last two
damaged_checkpoints/  those that could not be read, moved out of the way
curves.jsonl        the logged curves, and as TensorBoard's event files in logs/
wandb.json          which run of Weights & Biases shows them, mlflow.json which one of MLflow
evaluation*.json    what was measured
profile/            traces of some steps, where they were asked for
baselines*.json     what any training must beat, measured on the same photos
embeddings*.npz     the evaluated photos' vectors
served*.json        what a release of it answers, and where it falls behind
calibration*.json   what the scores of its last release mean, and as a picture in *.png
retrieval*.png      what is found, and where it goes wrong
report*.html        all of that on one page
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from function.storage import Conflict, NotFoundInStorage, open_storage
from trainer.data.records import Catalog
from trainer.data.screen import BAD_PHOTOS, OnBadPhoto, screen
from trainer.data.split import Split, split_products
from trainer.errors import DamagedCheckpoint, ExperimentChanged, TrainingError
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, parameter_shapes
from trainer.training.checkpoint import Checkpoints
from trainer.training.experiment import Experiment

_EXPERIMENT, _SPLIT = "experiment.json", "split.json"
PROFILE = "profile"


class Run:
    """The files of one run."""

    def __init__(self, url: str) -> None:
        """Name the run; nothing is read or made yet.

        Args:
            url: a folder or gs://bucket/prefix.
        """
        self.storage = open_storage(url)
        self.url = self.storage.url

    def checkpoints(self, *, read_only: bool = False) -> Checkpoints:
        """Open the checkpoints; not read-only, interrupted saves are cleaned away."""
        return Checkpoints(self.storage, read_only=read_only)

    def claim(self, experiment: Experiment, config: ModelConfig, catalog: Catalog) -> None:
        """Make this the run of an experiment on a catalogue, or see that it is already.

        Raises:
            ExperimentChanged: it is another's; the message shows the difference field by field.
        """
        record = {
            "experiment": experiment.to_dict(),
            "model": config.to_dict(),
            "catalog": {
                "name": catalog.name,
                "photos": len(catalog.photos),
                "fingerprint": catalog.fingerprint,
            },
        }
        try:
            self.storage.compare_and_set(_EXPERIMENT, _to_json(record), None)
        except Conflict:
            self._refuse_change(experiment, record["catalog"])

    def _refuse_change(self, experiment: Experiment, catalog: Mapping[str, Any]) -> None:
        held = self._read(_EXPERIMENT)
        changes = experiment.differences(held["experiment"])
        if held["catalog"]["fingerprint"] != catalog["fingerprint"]:
            changes.append(
                f"catalog: {_describe(held['catalog'])} in the run, {_describe(catalog)} asked"
            )
        if changes:
            listed = "\n  ".join(changes)
            raise ExperimentChanged(
                f"{self.url} holds another experiment:\n  {listed}\n"
                "Ask for the same to go on with it, or choose another --run."
            )

    @property
    def experiment(self) -> Experiment:
        """What the run trains; TrainingError where there is no run."""
        return Experiment.from_dict(self._read(_EXPERIMENT)["experiment"])

    @property
    def model_config(self) -> ModelConfig:
        """The network that the run trains; TrainingError where there is no run."""
        return ModelConfig.from_dict(self._read(_EXPERIMENT)["model"])

    @property
    def record(self) -> dict[str, Any]:
        """What `claim` wrote: experiment, model, catalog; TrainingError where there is no run."""
        return self._read(_EXPERIMENT)

    def is_own(self, catalog: Catalog) -> bool:
        """Whether the run is (to be) trained on this catalogue, wherever it lies now."""
        own: str = self.record["catalog"]["fingerprint"]
        return own == catalog.fingerprint

    def split(self, catalog: Catalog, *, on_bad_photo: OnBadPhoto = "skip") -> Split:
        """Screen and split the run's own catalogue: once, later calls read what was recorded.

        Raises:
            CatalogError: as `screen` and `split_products` do.
        """
        if self.storage.exists(_SPLIT):
            record = self._read(_SPLIT)
            readable = without_bad_photos(catalog, self._bad_photos())
            unseen = {*record["evaluation"], ""}
        else:
            experiment = self.experiment
            readable = screen(catalog, on_bad_photo=on_bad_photo, report=self.storage)
            split = split_products(readable, holdout=experiment.holdout, seed=experiment.seed)
            self.write_json(
                _SPLIT, {"train": _products(split.train), "evaluation": _products(split.evaluation)}
            )
            unseen = {*_products(split.evaluation), ""}
        return Split(
            train=readable.subset(p for p in readable.photos if p.product_id not in unseen),
            evaluation=readable.subset(p for p in readable.photos if p.product_id in unseen),
        )

    def load(self) -> tuple[Embedder, int]:
        """Return the network of the last complete checkpoint, in inference mode, and its step.

        Raises:
            TrainingError: there is no run, or it has no checkpoint yet.
            DamagedCheckpoint: its last one is; training it again goes back to the one before.
        """
        config = self.model_config
        with self.checkpoints(read_only=True) as checkpoints:
            if (step := checkpoints.latest) is None:
                raise TrainingError(
                    f"{self.url} has no checkpoint yet: expected one in checkpoints/. Let "
                    f"lookalike train --run {self.url} come to its first one, or to its end."
                )
            shapes, averaged = parameter_shapes(config), self.experiment.average_decay > 0
            try:
                arrays = checkpoints.restore_model(step, shapes, averaged=averaged)
            except DamagedCheckpoint as error:
                raise DamagedCheckpoint(
                    f"{error}\nTrain this run again, by the same command: it goes on from the "
                    "checkpoint before."
                ) from error
        return from_flat(config, arrays), step

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write one of the run's small files."""
        self.storage.write(name, _to_json(value), content_type="application/json")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return what `write_json` wrote; None where there is none."""
        found = self.storage.read_versioned(name)
        return None if found is None else json.loads(found[0])

    def _read(self, name: str) -> dict[str, Any]:
        if (value := self.read_json(name)) is None:
            raise TrainingError(
                f"{self.url} is no run: expected {name} in it. "
                f"Train one with: lookalike train --catalog PATH --run {self.url}"
            )
        return value

    def _bad_photos(self) -> set[tuple[str, str]]:
        try:
            text = self.storage.read(BAD_PHOTOS).decode()
        except NotFoundInStorage:
            return set()
        return {(line["row"], line["image"]) for line in csv.DictReader(io.StringIO(text))}


def without_bad_photos(catalog: Catalog, bad: Iterable[tuple[str, str]]) -> Catalog:
    """Return the catalogue without photos listed as (row, image), row "" where it has none."""
    listed = set(bad)
    return catalog.subset(p for p in catalog.photos if (str(p.row or ""), p.image) not in listed)


def _products(catalog: Catalog) -> list[str]:
    return sorted({photo.product_id for photo in catalog.photos} - {""})


def _describe(catalog: Mapping[str, Any]) -> str:
    return f"{catalog['name']} ({catalog['photos']} photos, {catalog['fingerprint'][:12]})"


def _to_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
