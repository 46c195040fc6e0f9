"""int8 is chosen by what it is measured to gain and lose, and serves only where it can."""

import shutil
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function import processor
from function.errors import ReleaseError
from function.loading import open_release
from function.manifest import EMBEDDER_INT8, EMBEDDER_ONNX, GOLDEN, Int8Info
from function.manifest_file import parse_manifest
from function.photo import load_pixels
from function.processor import int8_instructions
from function.release import LocalRelease, read_manifest
from function.storage import open_storage
from tests.releases import IMAGE_SIZE, TinyRelease, draw_photo, tiny_model
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, to_flat
from trainer.release.build import export_program
from trainer.release.precision import (
    MIN_PHOTOS,
    PrecisionChoice,
    make_int8,
    pays,
    recall_at_1,
)
from trainer.release.program import export_onnx
from trainer.release.publish import publish

needs_int8 = pytest.mark.skipif(
    not int8_instructions(), reason="this processor has no instructions for int8"
)

PAYING = Int8Info(
    chosen=False,
    instructions="avx512_vnni",
    latency_ratio=0.6,
    queries=1000,
    recall_at_1=0.8,
    recall_at_1_int8=0.796,
    recall_at_1_mixed=0.797,
    worst_cosine=0.99,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"recall_at_1_int8": 0.82, "recall_at_1_mixed": 0.82}, True),
        ({"latency_ratio": 0.85}, False),
        ({"recall_at_1_int8": 0.794}, False),
        ({"recall_at_1_mixed": 0.794}, False),
        ({"worst_cosine": 0.96}, False),
        ({"worst_cosine": float("nan")}, False),
    ],
)
def test_int8_pays_by_each_of_its_figures(change: dict[str, float], expected: bool) -> None:
    assert pays(replace(PAYING, **change)) is expected  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_recall_is_that_of_a_loop(seed: int, products: int) -> None:
    random = np.random.default_rng(seed)
    names = [str(name) for name in random.integers(0, products, 8)]
    photos = random.normal(size=(8, 3)).astype(np.float32)
    queries = random.normal(size=(16, 3)).astype(np.float32)
    hits = 0
    for number, query in enumerate(queries):
        own = number // 2
        others = [n for n in range(8) if n != own or names.count(names[own]) == 1]
        best = max(others, key=lambda n: float(query @ photos[n]))
        hits += names[best] == names[own]
    assert recall_at_1(queries, photos, names) == pytest.approx(hits / 16)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Enough photos for a measurement: three of each product."""
    folder = tmp_path_factory.mktemp("shop")
    for product in range(MIN_PHOTOS // 3 + 1):
        (folder / f"p{product}").mkdir()
        for view in range(3):
            draw_photo(product, view).save(folder / f"p{product}" / f"{view}.jpg")
    return open_catalog(folder)


def fragile() -> Embedder:
    """The tiny network, with a channel in each block that is huge and that nothing reads.

    In float it changes nothing. In 8 bits nothing is left of the channels beside it.
    """
    model = tiny_model()
    flat = {name: np.array(value) for name, value in to_flat(model).items()}
    for name, values in flat.items():
        if name.endswith("branch/0/norm/bias"):
            values[0] = 1e4
        elif name.endswith("branch/1/conv/kernel"):
            values[:, :, 0] = 0
    return from_flat(model.config, flat)


def tried(
    model: Embedder, catalog: Catalog, folder: Path, choice: PrecisionChoice
) -> Int8Info | None:
    """What became of int8, for a folder that holds the float program."""
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=IMAGE_SIZE)
    photos = [catalog.read(photo) for photo in catalog.photos[:4]]
    pixels = np.stack([load_pixels(photo, IMAGE_SIZE) for photo in photos])
    vectors = np.asarray(model(jnp.asarray(pixels)))
    return make_int8(folder, catalog, (pixels, vectors), choice)


@needs_int8
def test_a_network_that_int8_ruins_is_served_in_float(shop: Catalog, tmp_path: Path) -> None:
    measured = tried(fragile(), shop, tmp_path, "auto")
    assert measured is not None
    assert not measured.chosen
    assert measured.queries == 4 * len(shop.photos)
    assert measured.worst_cosine < 0.97
    assert [path.name for path in tmp_path.iterdir()] == [EMBEDDER_ONNX]


@needs_int8
def test_a_network_that_int8_ruins_is_not_even_served_by_order(
    shop: Catalog, tmp_path: Path
) -> None:
    with pytest.raises(PublishError, match=r"precision int8: .*cosine of at least 0\.97"):
        tried(fragile(), shop, tmp_path, "int8")


@needs_int8
def test_a_sound_network_loses_little(shop: Catalog, tmp_path: Path) -> None:
    measured = tried(tiny_model(), shop, tmp_path, "int8")
    assert measured is not None
    assert measured.chosen
    assert (tmp_path / EMBEDDER_INT8).exists()
    assert measured.instructions == int8_instructions()
    assert measured.worst_cosine > 0.99
    assert measured.recall_at_1_int8 == pytest.approx(measured.recall_at_1, abs=0.05)
    assert measured.recall_at_1_mixed == pytest.approx(measured.recall_at_1, abs=0.05)


def test_too_few_photos_for_a_figure_are_served_in_float(tiny_release: TinyRelease) -> None:
    manifest = tiny_release.manifest
    assert manifest.int8 is None
    assert EMBEDDER_INT8 not in manifest.files


@pytest.fixture
def old_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text("flags : fpu sse2 avx2\n")
    monkeypatch.setattr(processor, "CPUINFO", information)


@pytest.mark.usefixtures("old_processor")
def test_a_processor_without_int8_publishes_float_and_says_what_it_cannot(
    shop: Catalog, tmp_path: Path
) -> None:
    assert tried(tiny_model(), shop, tmp_path, "auto") is None
    with pytest.raises(PublishError, match="precision int8: expected a processor"):
        tried(tiny_model(), shop, tmp_path, "int8")


@pytest.fixture(scope="module")
def int8_release(tiny_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> LocalRelease:
    root = tmp_path_factory.mktemp("int8-root")
    release_id = publish(
        tiny_model(), IMAGE_SIZE, tiny_catalog, str(root), evaluation={}, precision="int8"
    )
    manifest = read_manifest(open_storage(root), release_id)
    return LocalRelease(manifest, root / "releases" / release_id)


def answers(release: LocalRelease, catalog: Catalog) -> list[tuple[str, float]]:
    """The best product for each photo, and its score."""
    engine = open_release(release, engine="openvino")
    photos = [photo for photo in catalog.photos if photo.role != "query"]
    found = [
        engine.search(load_pixels(catalog.read(photo), IMAGE_SIZE), 1).matches[0]
        for photo in photos
    ]
    engine.catalog.close()
    return [(match.product.id, match.score) for match in found]


@needs_int8
def test_an_int8_release_is_embedded_and_answered_by_its_int8_program(
    int8_release: LocalRelease, tiny_catalog: Catalog
) -> None:
    manifest = int8_release.manifest
    assert manifest.int8 is not None
    assert manifest.int8.chosen
    assert {EMBEDDER_ONNX, EMBEDDER_INT8} < set(manifest.files)
    assert parse_manifest(manifest.to_json()) == manifest
    wanted = manifest.files_for("openvino")
    assert EMBEDDER_INT8 in wanted
    assert EMBEDDER_ONNX not in wanted
    assert EMBEDDER_INT8 not in manifest.files_for("jax")
    # A photo's own vector is in the index, made by the same program: exactly itself.
    assert min(score for _, score in answers(int8_release, tiny_catalog)) > 0.99999


@needs_int8
def test_a_processor_without_int8_answers_from_the_same_release_in_float(
    int8_release: LocalRelease, tiny_catalog: Catalog, request: pytest.FixtureRequest
) -> None:
    expected = answers(int8_release, tiny_catalog)
    request.getfixturevalue("old_processor")
    wanted = int8_release.manifest.files_for("openvino")
    assert EMBEDDER_ONNX in wanted
    assert EMBEDDER_INT8 not in wanted
    found = answers(int8_release, tiny_catalog)
    assert [product for product, _ in found] == [product for product, _ in expected]
    np.testing.assert_allclose(
        [score for _, score in found], [score for _, score in expected], atol=0.01
    )
    # Another program, not the same one: these are not exactly themselves.
    assert max(score for _, score in found) < 0.999999


@pytest.fixture
def copied(int8_release: LocalRelease, tmp_path: Path) -> LocalRelease:
    """The release in a folder that a test may damage."""
    folder = shutil.copytree(int8_release.folder, tmp_path / "release")
    return LocalRelease(int8_release.manifest, folder)


@needs_int8
def test_an_int8_program_of_other_weights_is_refused(
    copied: LocalRelease, tiny_catalog: Catalog, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    export_program(tiny_model(7), IMAGE_SIZE, tiny_catalog, tmp_path / "other", precision="int8")
    shutil.copy(tmp_path / "other" / EMBEDDER_INT8, copied.folder / EMBEDDER_INT8)
    with pytest.raises(ReleaseError, match=r"golden.npz: .*the int8 program gives"):
        open_release(copied, engine="openvino")


@needs_int8
def test_an_int8_program_is_held_to_its_own_vectors_not_only_to_parity(
    copied: LocalRelease,
) -> None:
    with np.load(copied.folder / GOLDEN) as golden:
        arrays = dict(golden)
    # A cosine of 0.995: parity with the float vectors would let it pass.
    rows = arrays["int8_vectors"]
    across = np.roll(rows, 1, axis=1)
    across -= (across * rows).sum(axis=1, keepdims=True) * rows
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    arrays["int8_vectors"] = (0.995 * rows + np.sqrt(1 - 0.995**2) * across).astype(np.float32)
    np.savez(copied.folder / GOLDEN, **arrays)
    with pytest.raises(ReleaseError, match=r"int8 vector 0 of 4: .*at least 0\.999 .*0\.99[45]"):
        open_release(copied, engine="openvino")


@needs_int8
def test_an_int8_release_without_its_own_golden_vectors_is_refused(
    copied: LocalRelease,
) -> None:
    with np.load(copied.folder / GOLDEN) as golden:
        pixels, vectors = golden["pixels"], golden["vectors"]
    np.savez(copied.folder / GOLDEN, pixels=pixels, vectors=vectors)
    with pytest.raises(ReleaseError, match=r"golden.npz: expected vectors of the int8 program"):
        open_release(copied, engine="openvino")
