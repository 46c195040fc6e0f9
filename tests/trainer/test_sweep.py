import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.errors import ExperimentChanged, TrainingError
from trainer.sweep import Spread, Sweep, sweep
from trainer.training.experiment import Experiment
from trainer.training.loop import RunSummary

# Only a small head is trained: each seed takes a second or two.
EXPERIMENT = Experiment(
    architecture="resnet18",
    width=4,
    embedding_dim=8,
    image_size=32,
    steps=2,
    products_per_batch=3,
    photos_per_product=2,
    frozen_stages=4,
    batch_norm="frozen",
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Noise around a colour for each product: folders of photos, so without roles."""
    folder = tmp_path_factory.mktemp("shop")
    for product in range(10):
        for photo in range(3):
            random = np.random.default_rng((product, photo))
            colour = np.random.default_rng(product).integers(0, 256, 3)
            pixels = (colour + random.normal(0, 60, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            path = folder / f"p{product}" / f"{photo}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    return open_catalog(folder)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def found(catalog: Catalog, out: Path) -> Sweep:
    return sweep(catalog, str(out), EXPERIMENT, (3, 1))


def evaluation(out: Path, seed: int) -> Any:
    return json.loads((out / f"seed-{seed}" / "evaluation.json").read_text())


def test_each_seed_is_a_run_and_mean_and_deviation_are_of_what_the_runs_evaluations_say(
    found: Sweep, out: Path
) -> None:
    assert found.runs == (str(out / "seed-3"), str(out / "seed-1"))
    assert set(found.metrics) == {"leave_one_out"}
    assert {"recall_at_1", "recall_at_5", "map_at_r", "r_precision"} <= set(
        found.metrics["leave_one_out"]
    )
    for name, spread in found.metrics["leave_one_out"].items():
        a, b = (evaluation(out, seed)["leave_one_out"][name] for seed in (3, 1))
        assert spread.values == (a, b)
        assert spread.mean == pytest.approx((a + b) / 2, abs=1e-12)
        assert spread.deviation == pytest.approx(abs(a - b) / math.sqrt(2), abs=1e-12)


def test_seeds_differ_in_their_split(found: Sweep, out: Path) -> None:
    splits = [json.loads((out / f"seed-{seed}" / "split.json").read_text()) for seed in (3, 1)]
    assert splits[0] != splits[1]


def test_the_result_lies_beside_the_runs_as_json_and_as_a_table(found: Sweep, out: Path) -> None:
    assert json.loads((out / "sweep.json").read_text()) == found.to_dict()
    head, _, *rows = (out / "sweep.md").read_text().splitlines()
    assert head == "|  | seed 3 | seed 1 | mean ± deviation |"
    spread = found.metrics["leave_one_out"]["recall_at_1"]
    assert spread.deviation is not None
    assert rows[0] == (
        f"| leave-one-out R@1 | {spread.values[0]:.1%} | {spread.values[1]:.1%} "
        f"| {100 * spread.mean:.1f} ± {100 * spread.deviation:.1f} % |"
    )


def test_finished_seeds_are_not_repeated_and_a_cut_off_one_is_finished(
    found: Sweep, catalog: Catalog, out: Path
) -> None:
    (out / "seed-1" / "evaluation.json").unlink()
    finished = [open_storage(out).child("seed-3"), open_storage(out).child("seed-1/checkpoints")]
    kept = {
        path: path.stat().st_mtime_ns
        for storage in finished
        for path in (Path(storage.url, name) for name in storage.list())
    }
    again = sweep(catalog, str(out), EXPERIMENT, (3, 1, 2))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert again.seeds == (3, 1, 2)
    for name, spread in found.metrics["leave_one_out"].items():
        assert again.metrics["leave_one_out"][name].values[:2] == spread.values


def test_one_seed_has_a_mean_and_says_that_it_has_no_deviation(
    found: Sweep, catalog: Catalog, out: Path
) -> None:
    one = sweep(catalog, str(out), EXPERIMENT, [3])
    spread = one.metrics["leave_one_out"]["recall_at_1"]
    assert (spread.mean, spread.deviation) == (spread.values[0], None)
    assert "one seed: no deviation" in one.markdown()
    assert "±" not in one.markdown()
    assert one.to_dict()["metrics"]["leave_one_out"]["recall_at_1"]["deviation"] is None


def test_another_experiment_in_the_same_place_is_refused(
    found: Sweep, catalog: Catalog, out: Path
) -> None:
    other = Experiment(**{**vars(EXPERIMENT), "steps": 3})
    with pytest.raises(ExperimentChanged, match="steps: 2 in the run, 3 asked"):
        sweep(catalog, str(out), other, [3])


def test_a_signal_that_a_training_outlived_ends_the_sweep(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    def told(_: Catalog, __: str, experiment: Experiment, **___: object) -> RunSummary:
        seeds.append(experiment.seed)
        return RunSummary(2, 1.0, 1.0, 0.5, None, interrupted_by="SIGINT")

    monkeypatch.setattr("trainer.sweep.train", told)
    with pytest.raises(TrainingError, match="SIGINT came as training ended"):
        sweep(catalog, str(tmp_path), EXPERIMENT, (4, 5))
    assert seeds == [4]


@pytest.mark.parametrize("seeds", [(), (1, 2, 1)])
def test_no_seed_or_one_twice_is_refused(
    catalog: Catalog, tmp_path: Path, seeds: tuple[int, ...]
) -> None:
    with pytest.raises(TrainingError, match="one or more, each once"):
        sweep(catalog, str(tmp_path), EXPERIMENT, seeds)


def test_the_deviation_is_the_samples() -> None:
    values = (0.652, 0.589, 0.670)
    assert Spread(values).deviation == pytest.approx(np.std(values, ddof=1), abs=1e-12)
