"""The recipe's docstring promises times: they follow from its numbers and from the experiment's."""

import re
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest

from trainer.data.catalog import open_catalog
from trainer.data.studio import write_studio_catalog
from trainer.experiments import sop_resnet50
from trainer.losses.registry import default_options
from trainer.tracking import read_curves
from trainer.training.loop import train
from trainer.training.run import Run

TEXT = sop_resnet50.__doc__ or ""
EXPERIMENT = sop_resnet50.EXPERIMENT
PHOTOS = EXPERIMENT.steps * EXPERIMENT.batch_size
FLOP_PER_PHOTO = 4 * 8.2e9


def number(text: str) -> float:
    return prod(float(part.replace(",", "")) for part in text.split("×"))


DEVICES = re.findall(
    r"^\| (\w[\w-]+) \| ([\d ×]+) \| (\d+) % \| ([\d,]+) \| (\d+) \| (\d+) \| ([\d.]+) \|$",
    TEXT,
    re.M,
)


def test_the_docstring_says_that_it_was_not_run() -> None:
    assert "Not yet run on Stanford Online Products" in TEXT


def test_steps_are_the_epochs_of_the_official_split() -> None:
    assert f"are {EXPERIMENT.steps:,} steps of {EXPERIMENT.batch_size:,}" in TEXT
    assert pytest.approx(80 * 59_551, rel=1e-3) == PHOTOS
    assert f"{PHOTOS / 1e6:.2f} million photos" in TEXT
    assert f"together {PHOTOS * FLOP_PER_PHOTO:.2e}.".replace("e+", "e") in TEXT


def test_times_and_costs_follow_from_peak_share_and_price() -> None:
    assert [device[0] for device in DEVICES] == ["A100", "H100", "H200", "v5e-8"]
    for _, peak, share, rate, minutes, hourly, cost in DEVICES:
        photos_per_second = number(peak) * 1e12 * number(share) / 100 / FLOP_PER_PHOTO
        assert number(rate) == round(photos_per_second)
        seconds = PHOTOS / photos_per_second
        assert number(minutes) == round(seconds / 60)
        assert number(cost) == round(seconds / 3600 * number(hourly), 2)


def test_evaluation_is_seconds_of_arithmetic() -> None:
    assert f"{60_502 * 8.2e9:.1e} FLOP".replace("e+", "e") in TEXT
    assert f"and {60_502**2 * 512 * 2:.1e} to compare".replace("e+", "e") in TEXT


def test_the_loss_takes_the_options() -> None:
    assert set(EXPERIMENT.loss_options) <= set(default_options(EXPERIMENT.loss))


@pytest.mark.slow
def test_the_recipe_trains_in_small(tmp_path: Path) -> None:
    write_studio_catalog(tmp_path / "shop", products=8, photos_per_product=2, image_size=32)
    small = replace(
        EXPERIMENT,
        architecture="resnet18",
        width=4,
        embedding_dim=8,
        image_size=32,
        steps=3,
        warmup_steps=1,
        products_per_batch=4,
        photos_per_product=2,
        gradient_chunks=2,
        log_every=1,
    )
    run = Run(str(tmp_path / "run"))
    train(open_catalog(tmp_path / "shop"), run.url, small)
    losses = [point["loss"] for point in read_curves(run.storage)]
    assert len(losses) == 3
    # 1 − recall: between a perfect ranking, under soft steps, and none.
    assert all(0 < loss < 1 for loss in losses)
