"""A configuration survives JSON and refuses what it cannot build."""

import json

import pytest

from trainer.errors import LookalikeError
from trainer.model.config import ModelConfig


def test_a_config_comes_back_from_json() -> None:
    config = ModelConfig(architecture="resnet18", embedding_dim=None, pooling="gem")
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("no_head", [None, 0])
def test_without_a_head_the_output_is_the_pooled_features(no_head: int | None) -> None:
    assert ModelConfig(architecture="resnet50", embedding_dim=no_head).output_dim == 2048
    assert ModelConfig(architecture="resnet18", width=8, embedding_dim=no_head).output_dim == 64
    assert ModelConfig(embedding_dim=32).output_dim == 32


def test_an_unknown_setting_is_named_with_the_known_ones() -> None:
    with pytest.raises(LookalikeError, match=r"unknown model settings depth; known are archit"):
        ModelConfig.from_dict({"depth": 50})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("architecture", "resnet20", "expected one of resnet18, resnet34"),
        ("stride_placement", "v2", "expected one of v1, v1.5"),
        ("pooling", "max", "expected one of average, gem"),
        ("preprocessing", "none", "expected one of imagenet, keras_bgr"),
        ("dtype", "float16", "expected one of float32, bfloat16"),
        ("width", 0, "expected at least 1"),
        ("embedding_dim", -1, "expected 1 or more, or 0"),
        ("norm_epsilon", 0.0, "expected more than 0"),
    ],
)
def test_a_value_outside_its_range_is_refused_with_what_is_expected(
    field: str, value: object, message: str
) -> None:
    with pytest.raises(LookalikeError, match=message) as caught:
        ModelConfig.from_dict({field: value})
    assert f"{field} is {value!r}" in str(caught.value)
