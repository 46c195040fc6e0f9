"""The network computes what the paper draws, at every depth."""

from collections.abc import Callable, Mapping
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.typing import NDArray

from trainer.errors import LookalikeError
from trainer.model.config import DEPTHS, PREPROCESSING, ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import is_frozen, parameter_shapes, to_flat
from trainer.model.resnet import ResNet

Make = Callable[[ModelConfig], Embedder]
Flat = Mapping[str, NDArray[np.float32]]


@pytest.mark.parametrize("architecture", DEPTHS)
def test_every_depth_maps_pixels_to_a_thirty_second_of_them(architecture: str) -> None:
    config = ModelConfig.from_dict({"architecture": architecture, "width": 2})
    features = nnx.eval_shape(
        lambda pixels: ResNet(config, rngs=nnx.Rngs(0)).feature_map(pixels),
        jax.ShapeDtypeStruct((3, 64, 96, 3), jnp.uint8),
    )
    assert features.shape == (3, 2, 3, config.feature_dim)


@pytest.mark.parametrize(
    ("architecture", "published"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
    ],
)
def test_the_parameters_are_as_many_as_torchvision_publishes(
    architecture: str, published: int
) -> None:
    config = ModelConfig.from_dict({"architecture": architecture, "embedding_dim": 1000})
    shapes = parameter_shapes(config)
    learned = [shape for name, shape in shapes.items() if not name.endswith(("/mean", "/var"))]
    assert sum(int(np.prod(shape)) for shape in learned) == published


def test_v1_halves_in_the_first_convolution_and_v15_in_the_middle_one() -> None:
    strides = {}
    for placement in ("v1", "v1.5"):
        config = ModelConfig(width=2, stride_placement=placement)
        model = nnx.eval_shape(lambda config=config: ResNet(config, rngs=nnx.Rngs(0)))
        for stage in model.stages[1:]:
            strides[placement] = [layer.conv.stride for layer in stage[0].branch]
            assert stage[0].shortcut.conv.stride == 2
            assert [layer.conv.stride for layer in stage[1].branch] == [1, 1, 1]
    assert strides == {"v1": [2, 1, 1], "v1.5": [1, 2, 1]}


def naive_convolution(inputs: NDArray, kernel: NDArray, stride: int) -> NDArray:
    """The definition: for every position, the sum over what the kernel covers."""
    size, side = kernel.shape[0], (kernel.shape[0] - 1) // 2
    padded = np.pad(inputs, ((0, 0), (side, side), (side, side), (0, 0)))
    rows, columns = (-(-n // stride) for n in inputs.shape[1:3])
    outputs = np.zeros((len(inputs), rows, columns, kernel.shape[-1]))
    for image, y, x in product(range(len(inputs)), range(rows), range(columns)):
        window = padded[image, y * stride :, x * stride :][:size, :size]
        outputs[image, y, x] = np.tensordot(window, kernel, 3)
    return outputs


def naive_layer(inputs: NDArray, flat: Flat, path: str, stride: int, epsilon: float) -> NDArray:
    features = naive_convolution(inputs, flat[f"{path}/conv/kernel"], stride)
    scale, bias, mean, var = (flat[f"{path}/norm/{n}"] for n in ("scale", "bias", "mean", "var"))
    return (features - mean) / np.sqrt(var + epsilon) * scale + bias


def naive_feature_map(pixels: NDArray, flat: Flat, config: ModelConfig) -> NDArray:
    """ResNet in float64 by nested loops."""
    how, epsilon = PREPROCESSING[config.preprocessing], config.norm_epsilon
    inputs = (pixels - np.array(how.mean)) / np.array(how.deviation)
    inputs = inputs[..., ::-1] if how.bgr else inputs
    features = np.maximum(naive_layer(inputs, flat, "stem", 2, epsilon), 0)
    batch, rows, columns, dim = features.shape
    padded = np.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0)))
    features = np.zeros((batch, rows // 2, columns // 2, dim))
    for y, x in product(range(rows // 2), range(columns // 2)):
        features[:, y, x] = padded[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].max((1, 2))
    for stage, blocks in enumerate(config.depth.blocks):
        for block in range(blocks):
            path = f"stages/{stage}/{block}"
            halved = 2 if stage and not block else 1
            strides = [halved, 1]
            if config.depth.bottleneck:
                strides = [halved, 1, 1] if config.stride_placement == "v1" else [1, halved, 1]
            branch = shortcut = features
            for number, stride in enumerate(strides):
                branch = np.maximum(branch, 0) if number else branch
                branch = naive_layer(branch, flat, f"{path}/branch/{number}", stride, epsilon)
            if f"{path}/shortcut/conv/kernel" in flat:
                shortcut = naive_layer(shortcut, flat, f"{path}/shortcut", halved, epsilon)
            features = np.maximum(branch + shortcut, 0)
    return features


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(architecture="resnet18", width=2),
        ModelConfig(stride_placement="v1", width=2, norm_epsilon=1e-3, preprocessing="keras_bgr"),
        ModelConfig(stride_placement="v1.5", width=2),
    ],
    ids=["basic", "v1", "v1.5"],
)
def test_the_network_is_that_of_the_nested_loops(config: ModelConfig, random_model: Make) -> None:
    model = random_model(config)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    found = nnx.jit(lambda model, pixels: model.feature_map(pixels))(model, pixels)
    flat = {name: np.asarray(value, np.float64) for name, value in to_flat(model).items()}
    expected = naive_feature_map(pixels, flat, config)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def train_once(
    model: Embedder, pixels: jax.Array, frozen_stages: int
) -> dict[str, NDArray[np.float32]]:
    """Gradients of a loss by name; updates the model's statistics if it is in training."""

    @nnx.jit
    def gradients(model: Embedder) -> nnx.State:
        def loss(model: Embedder) -> jax.Array:
            return (model.project(pixels, frozen_stages=frozen_stages) ** 2).sum()

        return nnx.grad(loss)(model)

    return {
        "/".join(map(str, path)): np.asarray(gradient[...])
        for path, gradient in nnx.to_flat_state(gradients(model))
    }


def test_frozen_stages_have_no_gradient_and_keep_their_statistics(random_model: Make) -> None:
    frozen_stages = 2
    model = random_model(ModelConfig(architecture="resnet18", width=4, embedding_dim=3))
    pixels = jax.random.randint(jax.random.key(0), (4, 64, 64, 3), 0, 256, jnp.uint8)
    before = to_flat(model)
    model.train()
    gradients = train_once(model, pixels, frozen_stages)
    after = to_flat(model)
    for name, gradient in gradients.items():
        assert np.any(gradient) != is_frozen(name, frozen_stages), name
    for name, value in before.items():
        if name.endswith(("/mean", "/var")):
            unchanged = np.array_equal(value, after[name])
            assert unchanged == is_frozen(name, frozen_stages), name


def test_a_model_in_inference_mode_keeps_all_its_statistics(random_model: Make) -> None:
    model = random_model(ModelConfig(architecture="resnet18", width=4, embedding_dim=3))
    pixels = jax.random.randint(jax.random.key(0), (4, 64, 64, 3), 0, 256, jnp.uint8)
    model.train()
    model.eval()
    before = to_flat(model)
    gradients = train_once(model, pixels, frozen_stages=0)
    assert all(np.any(gradient) for gradient in gradients.values())
    for name, value in to_flat(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_frozen_stages_out_of_range_are_refused(random_model: Make) -> None:
    model = random_model(ModelConfig(architecture="resnet18", width=2))
    with pytest.raises(LookalikeError, match="frozen_stages is 5; expected 0 to 4"):
        model.feature_map(jnp.zeros((1, 32, 32, 3), jnp.uint8), frozen_stages=5)
