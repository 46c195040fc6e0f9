"""Weights of other houses come in tensor by tensor, or not at all."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from function.photo import load_pixels
from trainer.errors import WeightsError
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import to_flat
from trainer.model.pretrained import load_classifier, load_pretrained, pretrained_config

Make = Callable[[ModelConfig], Embedder]
KERAS_WEIGHTS = Path("weights") / "resnet50_keras_imagenet_f16kernels.npz"
IMAGENET_CLASS = {"gs_08_lemon": 951, "gs_23_pineapple": 953, "gs_61_cabbage": 936}
CLASSES = 7


def torchvision_tensors(model: Embedder) -> dict[str, NDArray[np.float32]]:
    """The model as torchvision would save it, written out by hand from its source."""
    flat = {name: np.asarray(value) for name, value in to_flat(model).items()}
    tensors = {
        "fc.weight": np.ascontiguousarray(flat["head/kernel"].T),
        "fc.bias": flat["head/bias"],
    }
    layers = {"stem": ("conv1", "bn1")}
    for stage, blocks in enumerate(model.config.depth.blocks):
        for block in range(blocks):
            ours, theirs = f"stages/{stage}/{block}", f"layer{stage + 1}.{block}"
            layers[f"{ours}/shortcut"] = (f"{theirs}.downsample.0", f"{theirs}.downsample.1")
            for n in range(3 if model.config.depth.bottleneck else 2):
                layers[f"{ours}/branch/{n}"] = (f"{theirs}.conv{n + 1}", f"{theirs}.bn{n + 1}")
    for ours, (convolution, norm) in layers.items():
        if f"{ours}/conv/kernel" in flat:
            kernel = flat[f"{ours}/conv/kernel"].transpose(3, 2, 0, 1)
            tensors[f"{convolution}.weight"] = np.ascontiguousarray(kernel)
            tensors[f"{norm}.weight"] = flat[f"{ours}/norm/scale"]
            tensors[f"{norm}.bias"] = flat[f"{ours}/norm/bias"]
            tensors[f"{norm}.running_mean"] = flat[f"{ours}/norm/mean"]
            tensors[f"{norm}.running_var"] = flat[f"{ours}/norm/var"]
            tensors[f"{norm}.num_batches_tracked"] = np.asarray(9)
    return tensors


def hugging_face_name(name: str) -> str:
    """torchvision's name -> that of transformers' ResNetForImageClassification."""
    place, field = name.rsplit(".", 1)
    if place == "fc":
        return f"classifier.1.{field}"
    if place in ("conv1", "bn1"):
        kind = "convolution" if place == "conv1" else "normalization"
        return f"resnet.embedder.embedder.{kind}.{field}"
    layer, block, part, *rest = place.split(".")
    prefix = f"resnet.encoder.stages.{int(layer[-1]) - 1}.layers.{block}"
    if part == "downsample":
        kind = "convolution" if rest == ["0"] else "normalization"
        return f"{prefix}.shortcut.{kind}.{field}"
    kind = "convolution" if part.startswith("conv") else "normalization"
    return f"{prefix}.layer.{int(part[-1]) - 1}.{kind}.{field}"


@pytest.fixture(params=["resnet18", "resnet50"])
def classifier(request: pytest.FixtureRequest, random_model: Make) -> Embedder:
    config = {"architecture": request.param, "width": 4, "embedding_dim": CLASSES}
    return random_model(ModelConfig.from_dict(config))


def assert_same_arrays(found: Embedder, expected: Embedder) -> None:
    flat = to_flat(found)
    for name, value in to_flat(expected).items():
        np.testing.assert_array_equal(flat[name], value, err_msg=name)


def test_a_torchvision_or_timm_file_gives_the_model_it_was_written_from(
    classifier: Embedder, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(torchvision_tensors(classifier), path)
    loaded = load_classifier(path, classifier.config.architecture)
    assert loaded.config == classifier.config
    assert_same_arrays(loaded, classifier)


@pytest.mark.parametrize("prefix", ["resnet.", ""])
def test_a_hugging_face_file_gives_the_same_backbone(
    classifier: Embedder, prefix: str, random_model: Make, tmp_path: Path
) -> None:
    tensors = {hugging_face_name(n): t for n, t in torchvision_tensors(classifier).items()}
    if not prefix:
        tensors = {n: t for n, t in tensors.items() if n.startswith("resnet.")}
    path = tmp_path / "model.safetensors"
    save_file({n.replace("resnet.", prefix, 1): t for n, t in tensors.items()}, path)
    config = pretrained_config(path, classifier.config.architecture)
    assert (config.width, config.stride_placement) == (4, "v1.5")
    loaded = load_pretrained(path, random_model(config))
    expected = random_model(config)
    del classifier.head
    classifier.head = expected.head
    assert_same_arrays(loaded, classifier)


def test_the_head_and_the_learned_power_are_kept(
    classifier: Embedder, random_model: Make, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(torchvision_tensors(classifier), path)
    architecture = classifier.config.architecture
    config = pretrained_config(path, architecture, embedding_dim=5, pooling="gem")
    model = random_model(config)
    before = to_flat(model)
    after = to_flat(load_pretrained(path, model))
    for name in ("head/kernel", "head/bias", "pooling/power"):
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_array_equal(
        after["stem/conv/kernel"], to_flat(classifier)["stem/conv/kernel"]
    )


def test_every_tensor_that_does_not_fit_is_listed_by_its_name_in_the_file(
    random_model: Make, tmp_path: Path
) -> None:
    model = random_model(ModelConfig(architecture="resnet18", width=4, embedding_dim=CLASSES))
    tensors = torchvision_tensors(model)
    del tensors["layer2.1.bn2.running_var"]
    tensors["layer9.0.conv1.weight"] = np.zeros((1, 1), np.float32)
    tensors["layer1.0.conv1.weight"] = np.zeros((4, 4, 5, 5), np.float32)
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    with pytest.raises(WeightsError) as caught:
        load_pretrained(path, model)
    message = str(caught.value)
    assert "missing layer2.1.bn2.running_var (8,)" in message
    assert "unexpected layer9.0.conv1.weight (1, 1)" in message
    expected = "mismatched layer1.0.conv1.weight: expected (4, 4, 3, 3), found (4, 4, 5, 5)"
    assert expected in message


def test_weights_of_another_architecture_are_named(random_model: Make, tmp_path: Path) -> None:
    model = random_model(ModelConfig(architecture="resnet18", width=4, embedding_dim=CLASSES))
    path = tmp_path / "model.safetensors"
    save_file(torchvision_tensors(model), path)
    with pytest.raises(WeightsError, match="holds resnet18, asked for was resnet50"):
        pretrained_config(path, "resnet50")


def test_a_model_with_other_strides_than_the_weights_were_trained_with_is_refused(
    random_model: Make, tmp_path: Path
) -> None:
    model = random_model(ModelConfig(width=4, embedding_dim=CLASSES))
    path = tmp_path / "model.safetensors"
    save_file(torchvision_tensors(model), path)
    other = random_model(replace(model.config, stride_placement="v1"))
    with pytest.raises(WeightsError, match=r"needs a model with stride_placement 'v1.5', found"):
        load_pretrained(path, other)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.pt", b"PK", "expected a .npz"),
        ("model.npz", b"no archive", "cannot be read as weights"),
        ("model.safetensors", b"no tensors", "cannot be read as weights"),
        ("model.safetensors", None, "cannot be read as weights"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        pretrained_config(tmp_path / name)


def test_names_of_no_known_family_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"visual.patch_embed.weight": np.zeros(3, np.float32)}, path)
    assert list(load_file(path)) == ["visual.patch_embed.weight"]
    with pytest.raises(WeightsError, match=r"of no ResNet that we know.*patch_embed"):
        pretrained_config(path)


def test_a_file_without_a_classifier_gives_none(random_model: Make, tmp_path: Path) -> None:
    model = random_model(ModelConfig(architecture="resnet18", width=4, embedding_dim=CLASSES))
    tensors = torchvision_tensors(model)
    del tensors["fc.bias"]
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"has no classifier: expected a tensor fc\.bias"):
        load_classifier(path, "resnet18")


def test_keras_weights_state_the_model_that_they_need(shared_data: Path) -> None:
    config = pretrained_config(shared_data / KERAS_WEIGHTS, embedding_dim=9)
    assert config == ModelConfig(
        architecture="resnet50",
        stride_placement="v1",
        width=64,
        embedding_dim=9,
        norm_epsilon=1e-3,
        preprocessing="keras_bgr",
    )


def test_the_keras_model_recognises_lemon_pineapple_and_cabbage(shared_data: Path) -> None:
    photos = catalog_photos(shared_data / "grocery.tar", list(IMAGENET_CLASS))
    model = load_classifier(shared_data / KERAS_WEIGHTS)
    pixels = np.stack([load_pixels(photo, 224) for photo in photos])
    logits = nnx.jit(lambda model, pixels: model.project(pixels))(model, pixels)
    assert logits.shape == (3, 1000)
    assert logits.argmax(axis=1).tolist() == list(IMAGENET_CLASS.values())


def catalog_photos(archive: Path, products: list[str]) -> list[bytes]:
    with tarfile.open(archive) as tar:
        files = [tar.extractfile(f"grocery/images/catalog/{product}.jpg") for product in products]
        return [file.read() for file in files if file]
