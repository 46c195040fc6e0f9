"""The serving programs say what the Flax model says."""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
from flax import nnx
from numpy.typing import NDArray

from function.embedder import openvino_core
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import to_flat
from trainer.release.program import STABLEHLO_PLATFORMS, export_onnx, export_stablehlo

IMAGE_SIZE = 64
Make = Callable[[ModelConfig], Embedder]
# Every pair of choices occurs at least once.
CONFIGS = [
    ModelConfig(
        architecture=architecture,
        stride_placement=placement,
        width=8,
        embedding_dim=dim,
        pooling=pooling,
        preprocessing=preprocessing,
    )
    for architecture, placement, pooling, dim, preprocessing in (
        ("resnet18", "v1.5", "average", None, "keras_bgr"),
        ("resnet18", "v1.5", "gem", 24, "imagenet"),
        ("resnet50", "v1", "average", None, "keras_bgr"),
        ("resnet50", "v1", "gem", 24, "imagenet"),
        ("resnet50", "v1.5", "average", 24, "keras_bgr"),
        ("resnet50", "v1.5", "gem", None, "imagenet"),
    )
]


@nnx.jit
def embed(model: Embedder, pixels: jax.Array) -> jax.Array:
    return model(pixels)


def some_pixels(count: int) -> NDArray[np.uint8]:
    """Blobs rather than noise: photos do not have every frequency alike."""
    coarse = np.random.default_rng(2).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(IMAGE_SIZE // 8, axis=1).repeat(IMAGE_SIZE // 8, axis=2)


def run_openvino(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    program = openvino_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(program(pixels)[0])


def least_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one * other).sum(axis=1).min())


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda c: f"{c.architecture}-{c.stride_placement}-{c.pooling}"
)
def test_openvino_gives_the_vectors_of_flax(
    config: ModelConfig, tmp_path: Path, random_model: Make
) -> None:
    model = random_model(config)
    path = tmp_path / "embedder.onnx"
    export_onnx(model, path, image_size=IMAGE_SIZE)
    pixels = some_pixels(5)
    found = run_openvino(path, pixels)
    assert found.dtype == np.float32
    assert found.shape == (5, config.output_dim)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert least_cosine(found, np.asarray(embed(model, pixels))) >= 0.99999
    np.testing.assert_allclose(run_openvino(path, pixels[:1]), found[:1], atol=1e-4)


def test_onnx_states_its_types_and_stores_half_precision_kernels(
    tmp_path: Path, random_model: Make
) -> None:
    model = random_model(CONFIGS[0])
    path = tmp_path / "embedder.onnx"
    export_onnx(model, path, image_size=IMAGE_SIZE)
    graph = onnx.load(path).graph
    pixels, embedding = graph.input[0], graph.output[0]
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in pixels.type.tensor_type.shape.dim] == [
        "batch",
        IMAGE_SIZE,
        IMAGE_SIZE,
        3,
    ]
    assert embedding.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    values = sum(value.size for value in to_flat(model).values())
    assert path.stat().st_size < 2.5 * values + 30_000


def test_onnx_uses_running_statistics_even_of_a_model_in_training(
    tmp_path: Path, random_model: Make
) -> None:
    model = random_model(CONFIGS[0])
    pixels = some_pixels(3)
    expected = np.asarray(embed(model, pixels))
    model.train()
    export_onnx(model, tmp_path / "embedder.onnx", image_size=IMAGE_SIZE)
    assert least_cosine(run_openvino(tmp_path / "embedder.onnx", pixels), expected) >= 0.99999


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[3]], ids=["resnet18", "resnet50"])
def test_stablehlo_fed_with_the_parameters_is_the_model(
    config: ModelConfig, tmp_path: Path, random_model: Make
) -> None:
    model = random_model(config)
    path = tmp_path / "embedder.stablehlo"
    export_stablehlo(model, path, image_size=IMAGE_SIZE)
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    assert program.platforms == STABLEHLO_PLATFORMS
    parameters = {name: np.asarray(value) for name, value in to_flat(model).items()}
    for count in (1, 3):
        pixels = some_pixels(count)
        found = np.asarray(program.call(parameters, pixels))
        assert least_cosine(found, np.asarray(embed(model, pixels))) >= 1 - 1e-5
