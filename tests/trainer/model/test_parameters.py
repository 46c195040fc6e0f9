"""Arrays by name: nothing lost on the way, nothing accepted that does not fit."""

from collections.abc import Callable

import numpy as np
import pytest

from trainer.errors import WeightsError
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import (
    from_flat,
    is_frozen,
    parameter_shapes,
    to_flat,
    update_flat,
)

Make = Callable[[ModelConfig], Embedder]
CONFIG = ModelConfig(architecture="resnet50", width=2, embedding_dim=3, pooling="gem")


def test_a_model_is_its_flat_arrays(random_model: Make) -> None:
    flat = to_flat(random_model(CONFIG))
    assert {name: value.shape for name, value in flat.items()} == parameter_shapes(CONFIG)
    again = to_flat(from_flat(CONFIG, {name: np.asarray(value) for name, value in flat.items()}))
    for name, value in flat.items():
        np.testing.assert_array_equal(value, again[name])


def test_the_names_are_those_that_checkpoints_hold() -> None:
    shapes = parameter_shapes(CONFIG)
    assert shapes["stem/conv/kernel"] == (7, 7, 3, 2)
    assert shapes["stages/0/0/shortcut/conv/kernel"] == (1, 1, 2, 8)
    assert shapes["stages/3/2/branch/1/norm/mean"] == (16,)
    assert shapes["pooling/power"] == ()
    assert shapes["head/kernel"] == (64, 3)


def test_every_array_that_does_not_fit_is_listed(random_model: Make) -> None:
    flat = dict(to_flat(random_model(CONFIG)))
    del flat["stem/norm/var"]
    flat["fc/kernel"] = np.zeros((2, 2))
    flat["head/bias"] = np.zeros(5)
    with pytest.raises(WeightsError) as caught:
        from_flat(CONFIG, flat)
    message = str(caught.value)
    assert "missing stem/norm/var (2,)" in message
    assert "unexpected fc/kernel (2, 2)" in message
    assert "mismatched head/bias: expected (3,), found (5,)" in message
    assert message.count("\n") == 3


def test_an_update_changes_the_named_arrays_only(random_model: Make) -> None:
    model = random_model(CONFIG)
    before = to_flat(model)
    update_flat(model, {"head/bias": np.arange(3)})
    after = to_flat(model)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["head/bias"]
    np.testing.assert_array_equal(after["head/bias"], [0, 1, 2])


def test_freezing_counts_the_stem_with_the_first_stage() -> None:
    frozen = [
        [is_frozen(name, stages) for name in ("stem/conv/kernel", "stages/0/0/x", "stages/2/0/x")]
        for stages in (0, 1, 3)
    ]
    assert frozen == [[False, False, False], [True, True, False], [True, True, True]]
    assert not is_frozen("head/kernel", 4)
    assert not is_frozen("pooling/power", 4)
