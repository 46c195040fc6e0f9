import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import get_args

import jaxtyping
import pytest

from trainer import experiments
from trainer.errors import TrainingError
from trainer.losses.registry import names
from trainer.training.experiment import Experiment, LossName


def test_an_experiment_survives_json(experiment: Callable[..., Experiment]) -> None:
    asked = experiment(loss="contrastive", loss_options={"epsilon": None})
    assert Experiment.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_what_json_read_back_shows_no_difference() -> None:
    assert Experiment().differences(json.loads(json.dumps(Experiment().to_dict()))) == []


def test_a_difference_names_the_field_and_both_values() -> None:
    stored = Experiment(learning_rate=1e-4).to_dict()
    assert Experiment(learning_rate=1e-3).differences(stored) == [
        "learning_rate: 0.0001 in the run, 0.001 asked"
    ]


def test_a_nested_difference_is_found() -> None:
    stored = json.loads(json.dumps(Experiment().to_dict()))
    stored["augmentation"]["scale"] = [0.5, 1.0]
    assert Experiment().differences(stored) == [
        "augmentation.scale: [0.5, 1.0] in the run, [0.3, 1.0] asked"
    ]


def test_an_option_left_at_its_default_differs_from_one_set_to_none() -> None:
    stored = Experiment(loss_options={"epsilon": None}).to_dict()
    assert Experiment().differences(stored) == [
        "loss_options.epsilon: None in the run, its default asked"
    ]


def test_weights_are_compared_by_content(tmp_path: Path) -> None:
    first, moved, changed = (tmp_path / name for name in ("a.npz", "b.npz", "c.npz"))
    first.write_bytes(b"weights")
    moved.write_bytes(b"weights")
    changed.write_bytes(b"others")
    stored = Experiment(weights=first).to_dict()
    assert Experiment(weights=moved).differences(stored) == []
    (difference,) = Experiment(weights=changed).differences(stored)
    assert difference.startswith("weights.sha256: ")


def test_an_experiment_whose_weights_are_gone_can_be_read(tmp_path: Path) -> None:
    weights = tmp_path / "a.npz"
    weights.write_bytes(b"weights")
    stored = Experiment(weights=weights).to_dict()
    weights.unlink()
    assert Experiment.from_dict(stored).weights == weights
    with pytest.raises(TrainingError, match="Expected pretrained weights at"):
        Experiment(weights=weights).to_dict()


def test_every_value_out_of_range_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    # The types checked in tests would refuse the architecture before our own message.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TrainingError) as caught:
        Experiment(architecture="resnet20", steps=-1, holdout=1.0, learning_rate=0.0)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "resnet18, resnet34, resnet50, resnet101, resnet152; found 'resnet20'" in message
    assert "steps: expected at least 0; found -1" in message
    assert "holdout: expected at least 0 and below 1; found 1.0" in message
    assert "learning_rate: expected above 0; found 0.0" in message


def test_a_batch_in_parts_needs_a_divisor_and_frozen_statistics() -> None:
    with pytest.raises(TrainingError) as caught:
        Experiment(gradient_chunks=5)
    assert "expected a divisor of the batch's 64 photos; found 5" in str(caught.value)
    assert "expected batch_norm frozen" in str(caught.value)
    assert Experiment(gradient_chunks=8, batch_norm="frozen").gradient_chunks == 8


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(TrainingError, match="Unknown in an experiment: momentum"):
        Experiment.from_dict({"momentum": 0.9})


def test_batch_norm_is_frozen_where_it_is_pretrained_and_trained_where_it_is_not() -> None:
    assert Experiment().trains_batch_norm
    assert not Experiment(weights=Path("weights.npz")).trains_batch_norm
    assert Experiment(weights=Path("weights.npz"), batch_norm="train").trains_batch_norm
    assert not Experiment(batch_norm="frozen").trains_batch_norm


@pytest.mark.parametrize("name", experiments.names())
def test_named_experiments_load_and_open_with_their_command(name: str) -> None:
    assert isinstance(experiments.load(name), Experiment)
    source = Path(experiments.__file__).with_name(f"{name}.py").read_text()
    assert "lookalike train " in source.split('"""')[1]


def test_an_unknown_experiment_lists_the_valid_ones() -> None:
    with pytest.raises(TrainingError, match=r"'imagenet'; expected one of default, emoji, grocery"):
        experiments.load("imagenet")


def test_options_that_scripts_rely_on_keep_names_and_defaults() -> None:
    defaults = {item.name: getattr(Experiment(), item.name) for item in fields(Experiment)}
    promised = {
        "weights": None,
        "architecture": "resnet50",
        "image_size": 128,
        "holdout": 0.5,
        "products_per_batch": 16,
        "photos_per_product": 4,
        "learning_rate": 1e-4,
        "embedding_dim": 512,
        "seed": 0,
    }
    assert promised.items() <= defaults.items()
    assert "steps" in defaults


def test_every_loss_can_be_asked_for() -> None:
    assert sorted(get_args(LossName)) == sorted(names())


def test_the_memory_counts_for_half_of_the_steps_at_least() -> None:
    assert Experiment(steps=60, memory_size=8).memory_from_step == 30
    assert Experiment(steps=60, memory_size=8, memory_warmup_steps=5).memory_from_step == 5
