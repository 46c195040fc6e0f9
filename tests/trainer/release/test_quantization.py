"""The int8 program runs in int8, and says nearly what the float one says."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from function.embedder import openvino_core
from function.photo import load_pixels
from function.processor import int8_instructions
from trainer.data.catalog import open_catalog
from trainer.data.studio import write_studio_catalog
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.release.onnx_graph import onnx_model
from trainer.release.quantization import quantized

IMAGE_SIZE = 64
Make = Callable[[ModelConfig], Embedder]
CONFIGS = [
    ModelConfig(architecture="resnet18", width=8, embedding_dim=24),
    ModelConfig(architecture="resnet50", stride_placement="v1", width=8, pooling="gem"),
    ModelConfig(architecture="resnet50", stride_placement="v1.5", width=8, embedding_dim=24),
]

needs_int8 = pytest.mark.skipif(
    not int8_instructions(), reason="no instructions for int8: sums saturate, and float serves"
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    """The studio's: sixteen products."""
    folder = tmp_path_factory.mktemp("studio")
    write_studio_catalog(folder, products=16, photos_per_product=2, image_size=IMAGE_SIZE)
    catalog = open_catalog(folder)
    return np.stack([load_pixels(catalog.read(photo), IMAGE_SIZE) for photo in catalog.photos])


def compiled(program: bytes, precision: str) -> openvino.CompiledModel:
    core = openvino_core()
    model = core.read_model(program)
    model.reshape([1, IMAGE_SIZE, IMAGE_SIZE, 3])
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})


def embed(program: bytes, photos: NDArray[np.uint8]) -> NDArray[np.float32]:
    run = compiled(program, "f32")
    return np.concatenate([run(photo[None])[0].copy() for photo in photos])


def precisions(program: bytes, kind: str) -> Counter[str]:
    """What the layers of this kind are computed in, after all of the engine's rewriting."""
    layers = compiled(program, "f32").get_runtime_model().get_ordered_ops()
    told = [layer.get_rt_info() for layer in layers]
    return Counter(
        layer["runtimePrecision"].astype(str)
        for layer in told
        if layer["layerType"].astype(str) == kind
    )


def correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))


@needs_int8
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.architecture}-{c.stride_placement}")
def test_int8_vectors_are_near_those_of_float(
    config: ModelConfig, photos: NDArray[np.uint8], random_model: Make
) -> None:
    model = onnx_model(random_model(config), image_size=IMAGE_SIZE)
    calibration, unseen = photos[:16], photos[16:]
    program = quantized(model, calibration).SerializeToString()
    exact = embed(model.SerializeToString(), unseen)
    rounded = embed(program, unseen)
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-5)
    assert (rounded * exact).sum(axis=1).min() > 0.99
    # Random networks give all photos similar vectors, with cosines up to 0.998: what tells them
    # apart must be kept.
    assert correlation(rounded - rounded.mean(axis=0), exact - exact.mean(axis=0)) > 0.85
    assert len(program) < 0.75 * len(model.SerializeToString())


@needs_int8
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.architecture}-{c.stride_placement}")
def test_every_convolution_runs_in_int8(
    config: ModelConfig, photos: NDArray[np.uint8], random_model: Make
) -> None:
    model = onnx_model(random_model(config), image_size=IMAGE_SIZE)
    float_layers = precisions(model.SerializeToString(), "Convolution")
    assert set(float_layers) == {"f32"}
    program = quantized(model, photos[:4]).SerializeToString()
    # Pixels without their mean have a sign; what follows a ReLU has none. Processors without AMX
    # multiply unsigned bytes alone, and shift what has a sign.
    found = precisions(program, "Convolution")
    assert found.total() == float_layers["f32"]
    assert found["u8"] >= float_layers["f32"] - 1
    assert set(found) <= {"u8", "i8"}
    assert set(precisions(program, "Pooling")) == {"u8"}


def test_a_channel_that_is_never_lit_is_no_obstacle(
    photos: NDArray[np.uint8], random_model: Make
) -> None:
    model = onnx_model(random_model(CONFIGS[0]), image_size=IMAGE_SIZE)
    black = np.zeros_like(photos[:2])
    assert np.isfinite(embed(quantized(model, black).SerializeToString(), photos[:4])).all()
