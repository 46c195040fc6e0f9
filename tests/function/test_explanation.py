"""Scores are shared out over positions: they add up, and they lie where the likeness is."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from function import explanation as module
from function.embedder import ExplainableEmbedder, SharesUnavailable, open_embedder
from function.errors import DeadlineExceeded
from function.explanation import Explainer, Explanation, grid
from function.loading import load_search_engine
from function.manifest import EMBEDDER_INT8, EMBEDDER_ONNX, Precision
from function.photo import load_pixels
from function.processor import int8_instructions
from function.search import SearchEngine, SearchResult
from function.storage import GoogleStorage, open_storage
from tests.indices import photo_index
from tests.releases import draw_photo, tiny_model
from tests.server import Answer, RunningFunction, run_function
from trainer.data.records import Catalog
from trainer.data.studio import photograph
from trainer.model.config import ModelConfig, Pooling
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, to_flat
from trainer.model.pretrained import load_pretrained, pretrained_config
from trainer.release.program import export_onnx
from trainer.release.publish import publish
from trainer.release.quantization import quantized

Publish = Callable[[Pooling, Precision], Path]

# Four rows and columns of positions.
SIZE = 128
CELL = 32

needs_int8 = pytest.mark.skipif(
    not int8_instructions(), reason="this processor has no instructions for int8"
)
PRECISIONS = ["float", pytest.param("int8", marks=needs_int8)]


def export(model: Embedder, folder: Path, size: int = SIZE) -> ExplainableEmbedder:
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=size)
    embedder = open_embedder(folder, "openvino")
    assert isinstance(embedder, ExplainableEmbedder)
    return embedder


def cloth(number: int) -> NDArray[np.uint8]:
    """Squares of two colours, all over."""
    random = np.random.default_rng(number)
    one, other = random.integers(0, 256, (2, 3))
    across, down = np.indices((SIZE, SIZE)) // int(random.integers(4, 12))
    return np.where(((across + down) % 2)[..., None], one, other).astype(np.uint8)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.stack([cloth(number) for number in range(8)])


@pytest.mark.parametrize("dim", [16, None])
def test_shares_are_those_of_a_loop_over_positions(
    pixels: NDArray[np.uint8], tmp_path: Path, dim: int | None
) -> None:
    config = ModelConfig(architecture="resnet18", width=8, embedding_dim=dim)
    model = Embedder(config, rngs=nnx.Rngs(1))
    model.eval()
    shares = export(model, tmp_path).shares(pixels[0])
    (features,) = np.asarray(model.feature_map(jnp.asarray(pixels[:1])))
    kernel = np.eye(64) if model.head is None else np.asarray(model.head.kernel[...])
    bias = 0 if model.head is None else np.asarray(model.head.bias[...])
    expected = np.zeros((4, 4, dim or 64))
    for row in range(4):
        for column in range(4):
            for channel in range(64):
                expected[row, column] += features[row, column, channel] * kernel[channel]
            expected[row, column] += bias
    expected /= np.linalg.norm(expected.sum(axis=(0, 1)))
    # bfloat16 on processors that have it: eight bits of each activation.
    np.testing.assert_allclose(shares, expected, atol=0.03 * np.abs(expected).max())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_shares_sum_to_the_vector(
    pixels: NDArray[np.uint8], tmp_path: Path, precision: Precision
) -> None:
    embedder = export(tiny_model(), tmp_path)
    if precision == "int8":
        program = quantized(onnx.load(tmp_path / EMBEDDER_ONNX), pixels)
        (tmp_path / EMBEDDER_INT8).write_bytes(program.SerializeToString())
        opened = open_embedder(tmp_path, "openvino", precision="int8")
        assert isinstance(opened, ExplainableEmbedder)
        embedder = opened
    for photo, vector in zip(pixels, embedder.embed(pixels), strict=True):
        shares = embedder.shares(photo)
        assert shares.shape == (4, 4, 16)
        assert shares.dtype == np.float32
        assert np.linalg.norm(shares.sum(axis=(0, 1))) == pytest.approx(1, abs=1e-5)
        # What the program averages and multiplies in bfloat16, eight bits, is summed in float32.
        np.testing.assert_allclose(shares.sum(axis=(0, 1)), vector, atol=0.01)


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_a_grid_sums_to_the_score_and_keeps_its_differences(seed: int, score: float) -> None:
    random = np.random.default_rng(seed)
    shares = random.normal(size=(3, 5, 7)).astype(np.float32)
    vector = random.normal(size=7).astype(np.float32)
    found = grid(shares, vector, score)
    assert found.shape == (3, 5)
    assert found.sum() == pytest.approx(score, abs=1e-9)
    for row in range(3):
        for column in range(5):
            alone = float(shares[row, column] @ vector) - float(shares[0, 0] @ vector)
            assert found[row, column] - found[0, 0] == pytest.approx(alone, abs=1e-4)


def local_model() -> Embedder:
    """The tiny network without what its blocks gather from around: a position sees its place."""
    model = tiny_model()
    flat = {name: np.array(value) for name, value in to_flat(model).items()}
    for name, values in flat.items():
        if name.endswith("branch/1/norm/scale"):
            values[:] = 0
    return from_flat(model.config, flat)


def pasted(
    background: NDArray[np.uint8], thing: NDArray[np.uint8], row: int, column: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A photo with a thing at a cell, and which cells of its grid that covers."""
    photo = background.copy()
    top, left, side = row * CELL, column * CELL, len(thing)
    photo[top : top + side, left : left + side] = thing
    covered = np.zeros((len(photo) // CELL,) * 2, bool)
    covered[row : row + side // CELL, column : column + side // CELL] = True
    return photo, covered


def test_what_is_pasted_lights_up_where_it_was_pasted(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    embedder = export(local_model(), tmp_path)
    vectors = embedder.embed(pixels)
    for thing in range(8):
        background = (thing + 3) % 8
        for row, column in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1)):
            photo, covered = pasted(pixels[background], pixels[thing][:64, :64], row, column)
            shares = embedder.shares(photo)
            # For the thing, and against the background, whose own vector is as near.
            light = shares @ vectors[thing] - shares @ vectors[background]
            assert light[covered].mean() > light[~covered].mean()


def test_a_product_lights_up_in_anothers_photo_by_imagenets_features(
    shared_data: Path, tmp_path: Path
) -> None:
    weights = shared_data / "weights" / "resnet50_keras_imagenet_f16kernels.npz"
    model = Embedder(replace(pretrained_config(weights), embedding_dim=0), rngs=nnx.Rngs(0))
    model = load_pretrained(weights, model)
    model.eval()
    embedder = export(model, tmp_path, size=224)
    photos = np.stack([photograph(0, product, 0, 224) for product in range(4)])
    vectors = embedder.embed(photos)
    for product in range(4):
        customers = photograph(0, product, 1, 96)
        for row, column in ((0, 0), (0, 4), (4, 0), (4, 4)):
            photo, covered = pasted(photos[(product + 3) % 4], customers, row, column)
            light = embedder.shares(photo) @ vectors[product]
            assert light[covered].mean() > light[~covered].mean()


@pytest.fixture(scope="module")
def published(tiny_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Publish:
    """Publishes the tiny shop, once for each pooling and precision."""

    @cache
    def make(pooling: Pooling, precision: Precision) -> Path:
        model = Embedder(replace(tiny_model().config, pooling=pooling), rngs=nnx.Rngs(0))
        model.eval()
        root = tmp_path_factory.mktemp("explained")
        publish(model, SIZE, tiny_catalog, str(root), evaluation={}, precision=precision)
        return root

    return make


@pytest.fixture
def root(published: Publish) -> Path:
    """Tests only read it."""
    return published("average", "float")


@pytest.fixture
def gem_root(published: Publish) -> Path:
    """Tests only read it."""
    return published("gem", "float")


def load(root: Path, engine: str = "openvino") -> SearchEngine:
    return load_search_engine(open_storage(root), engine=engine, cache_dir=root / "unused")


def query() -> NDArray[np.uint8]:
    return load_pixels(jpeg(draw_photo(1, 2)), SIZE)


def jpeg(image: Image.Image) -> bytes:
    output = BytesIO()
    image.save(output, "JPEG")
    return output.getvalue()


def explained(
    engine: SearchEngine, root: Path, *, seconds: float = 60
) -> tuple[SearchResult, list[Explanation]]:
    result = engine.search(query(), 10)
    matches = [(match.images[0], match.score) for match in result.matches]
    deadline = time.monotonic() + seconds
    storage = open_storage(root)
    return result, engine.explainer.explain(query(), matches, storage, deadline=deadline)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_both_grids_of_every_match_sum_to_its_score(
    published: Publish, tiny_catalog: Catalog, precision: Precision
) -> None:
    root = published("average", precision)
    engine = load(root)
    result, explanations = explained(engine, root)
    embedder = open_embedder(next((root / "releases").iterdir()), "openvino", precision=precision)
    assert isinstance(embedder, ExplainableEmbedder)
    assert len(explanations) == 6
    for match, explanation in zip(result.matches, explanations, strict=True):
        image = match.images[0]
        assert (explanation.product is None) == (image.url != "")
        for found in (explanation.photo, explanation.product):
            if found is not None:
                assert found.shape == (4, 4)
                assert found.sum() == pytest.approx(match.score, abs=1e-9)
        (photo,) = (
            photo
            for photo in tiny_catalog.photos
            if photo.product_id == match.product.id and Path(photo.image).stem == image.image_id
        )
        # Without what is spread: of the photo as it was embedded, the sum is the score already.
        own = embedder.shares(load_pixels(tiny_catalog.read(photo), SIZE))
        searched = embedder.shares(query())
        bare = float(own.sum(axis=(0, 1)) @ searched.sum(axis=(0, 1)))
        assert bare == pytest.approx(match.score, abs=0.01)


def test_a_photo_that_is_gone_or_damaged_leaves_the_other_grid(root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(root, tmp_path / "root")
    engine = load(root)
    first, second = (match.images[0] for match in engine.search(query(), 2).matches)
    (root / "images" / f"{first.sha256}.jpg").unlink()
    (root / "images" / f"{second.sha256}.jpg").write_bytes(b"no photo")
    _, explanations = explained(engine, root)
    assert [explanation.product is None for explanation in explanations[:2]] == [True, True]
    assert all(explanation.photo.shape == (4, 4) for explanation in explanations)


def test_no_time_left_is_a_deadline_exceeded(root: Path) -> None:
    with pytest.raises(DeadlineExceeded):
        explained(load(root), root, seconds=-1)


def test_matches_are_explained_without_photos_that_never_come(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PHOTO_SECONDS", 0.2)
    engine = load(root)
    matches = [(match.images[0], match.score) for match in engine.search(query()).matches]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        storage = GoogleStorage.connect("bucket", "")
        deadline = time.monotonic() + 20
        explanations = engine.explainer.explain(query(), matches, storage, deadline=deadline)
    assert time.monotonic() < deadline
    assert len(explanations) == len(matches)
    assert all(each.product is None for each in explanations)


def test_what_cannot_be_explained_says_why(root: Path, gem_root: Path) -> None:
    with pytest.raises(SharesUnavailable, match="GeM"):
        explained(load(gem_root), gem_root)
    with pytest.raises(SharesUnavailable, match="openvino engine"):
        explained(load(root, "jax"), root)
    old = open_embedder(next((gem_root / "releases").iterdir()), "openvino")
    info = replace(load(gem_root).manifest.model, pooling="")
    explainer = Explainer(old, photo_index(np.eye(16, dtype=np.float32)), info)
    with pytest.raises(SharesUnavailable, match="Publish again"):
        explainer.explain(query(), [], open_storage(root), deadline=time.monotonic() + 9)


@pytest.fixture(scope="module")
def running(
    published: Publish, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    log = tmp_path_factory.mktemp("log") / "log.txt"
    with run_function(log, root=str(published("average", "float"))) as running:
        running.wait_until_ready()
        yield running


def test_an_answer_carries_grids_where_they_are_asked_for(running: RunningFunction) -> None:
    photo = jpeg(draw_photo(1, 2))
    plain, answer = (running.search(photo, **fields).json() for fields in ({}, {"explain": "true"}))
    results = answer["productSearchResults"]["results"]
    for bare, result in zip(plain["productSearchResults"]["results"], results, strict=True):
        explanation = result.pop("explanation")
        assert result == bare
        stored = not result["imageUrl"].startswith("https://shop.example")
        assert set(explanation) == ({"photo", "product"} if stored else {"photo"})
        for rows in explanation.values():
            assert [len(row) for row in rows] == [4, 4, 4, 4]
            # Each of 16 numbers, and the score, is rounded to six digits.
            assert np.sum(rows) == pytest.approx(result["score"], abs=1e-5)
    assert len(results) == 6
    assert "explanationUnavailable" not in answer
    assert "explain" in answer["timingsMs"]


def test_explanations_are_of_small_pages_and_of_photos(running: RunningFunction) -> None:
    def refused(answer: Answer) -> tuple[int, str]:
        (info,) = answer.json()["error"]["details"]
        return answer.status, info["reason"]

    photo = jpeg(draw_photo(1, 2))
    assert refused(running.search(photo, explain="true", pageSize=11)) == (400, "FIELD_INVALID")
    assert refused(running.search(photo, explain="yes")) == (400, "FIELD_INVALID")
    assert running.search(photo, explain="true", pageSize=10).status == 200
    assert running.search(photo, explain="false", pageSize=11).status == 200
    headers = {"Content-Type": "application/json"}
    similar = running.request("POST", "/v1/products/p1:similar", b'{"explain": true}', headers)
    assert refused(similar) == (400, "FIELD_UNKNOWN")


def test_an_answer_of_a_gem_network_says_that_it_has_no_grids(
    gem_root: Path, tmp_path: Path
) -> None:
    with run_function(tmp_path / "log.txt", root=str(gem_root)) as running:
        running.wait_until_ready()
        answer = running.search(jpeg(draw_photo(1, 2)), explain="true").json()
    assert "GeM" in answer["explanationUnavailable"]
    results = answer["productSearchResults"]["results"]
    assert len(results) == 6
    assert not any("explanation" in result for result in results)
