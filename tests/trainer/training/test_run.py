from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.data.records import Catalog
from trainer.errors import ExperimentChanged, TrainingError
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config
from trainer.training.run import Run


def claim(run: Run, experiment: Experiment, catalog: Catalog) -> None:
    run.claim(experiment, initial_config(experiment), catalog)


def test_the_same_experiment_and_catalogue_go_on(
    tmp_path: Path, catalog: Catalog, experiment: Callable[..., Experiment]
) -> None:
    run = Run(str(tmp_path / "run"))
    claim(run, experiment(), catalog)
    claim(Run(str(tmp_path / "run")), experiment(), catalog)
    assert run.experiment == experiment()
    assert run.model_config == initial_config(experiment())


def test_another_experiment_is_refused_field_by_field(
    tmp_path: Path, catalog: Catalog, experiment: Callable[..., Experiment]
) -> None:
    run = Run(str(tmp_path / "run"))
    claim(run, experiment(), catalog)
    with pytest.raises(ExperimentChanged) as caught:
        claim(run, experiment(steps=48, learning_rate=0.5), catalog)
    assert "steps: 24 in the run, 48 asked" in str(caught.value)
    assert "learning_rate: 0.003 in the run, 0.5 asked" in str(caught.value)
    assert "seed" not in str(caught.value)


def test_another_catalogue_is_refused(
    tmp_path: Path, catalog: Catalog, experiment: Callable[..., Experiment]
) -> None:
    run = Run(str(tmp_path / "run"))
    claim(run, experiment(), catalog)
    with pytest.raises(ExperimentChanged, match=r"\(48 photos, .* in the run, .* \(47 photos"):
        claim(run, experiment(), catalog.subset(catalog.photos[1:]))


def test_a_catalogue_is_screened_and_split_once(
    tmp_path: Path, catalog: Catalog, experiment: Callable[..., Experiment]
) -> None:
    missing = replace(catalog.photos[0], image="missing.jpg", row=99)
    damaged = catalog.subset([*catalog.photos, missing])
    run = Run(str(tmp_path / "run"))
    claim(run, experiment(), damaged)
    first = run.split(damaged)
    assert b"99,missing.jpg," in run.storage.read("bad_photos.csv")
    assert missing not in (*first.train.photos, *first.evaluation.photos)
    assert len(first.train.photos) + len(first.evaluation.photos) == 48

    run.storage.write("bad_photos.csv", b"row,image,reason\n99,missing.jpg,\n2,0-0.jpg,noted\n")
    second = run.split(damaged)
    assert len(second.train.photos) + len(second.evaluation.photos) == 47
    assert second.train.photos != second.evaluation.photos


def test_no_run_and_no_checkpoint_say_what_to_do(
    tmp_path: Path, catalog: Catalog, experiment: Callable[..., Experiment]
) -> None:
    url = str(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"is no run: expected experiment\.json"):
        Run(url).load()
    claim(Run(url), experiment(), catalog)
    with pytest.raises(TrainingError, match="has no checkpoint yet"):
        Run(url).load()
