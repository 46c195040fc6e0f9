"""Both engines compute what the trained model computes."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from numpy.typing import NDArray

import function.embedder
from function.embedder import open_embedder
from function.errors import ReleaseError
from function.manifest import CHECKPOINT, EMBEDDER_ONNX, EMBEDDER_STABLEHLO
from tests.executors import CountingExecutor
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import to_flat
from trainer.release.program import export_onnx, export_stablehlo


@pytest.fixture(scope="module")
def model() -> Embedder:
    config = ModelConfig(architecture="resnet18", width=8, embedding_dim=16)
    model = Embedder(config, rngs=nnx.Rngs(0))
    model.eval()
    return model


@pytest.fixture(scope="module")
def folder(model: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=32)
    export_stablehlo(model, folder / EMBEDDER_STABLEHLO, image_size=32)
    with ocp.PyTreeCheckpointer() as checkpointer:
        weights = {name: np.asarray(value) for name, value in to_flat(model).items()}
        checkpointer.save(folder / CHECKPOINT, weights)
    return folder


@pytest.fixture(scope="module", params=["openvino", "jax"])
def embedder(folder: Path, request: pytest.FixtureRequest) -> function.embedder.Embedder:
    return open_embedder(folder, request.param)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("batch", [1, 5])
def test_an_engine_gives_the_models_vectors(
    embedder: function.embedder.Embedder, model: Embedder, pixels: NDArray[np.uint8], batch: int
) -> None:
    assert (embedder.dim, embedder.image_size) == (16, 32)
    vectors = embedder.embed(pixels[:batch])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    expected = nnx.jit(model)(jnp.asarray(pixels[:batch]))
    cosines = (vectors * np.asarray(expected)).sum(axis=1)
    assert cosines.min() > 0.999  # bfloat16 on processors that have it


def test_threads_get_their_own_photos_vectors(
    embedder: function.embedder.Embedder, pixels: NDArray[np.uint8]
) -> None:
    alone = [embedder.embed(pixels[n : n + 1]) for n in range(5)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda n: embedder.embed(pixels[n % 5][None]), range(40)))
    for n, vectors in enumerate(together):
        np.testing.assert_allclose(vectors, alone[n % 5], atol=1e-6)


def test_inferences_run_where_they_are_told_to(folder: Path, pixels: NDArray[np.uint8]) -> None:
    expected = open_embedder(folder, "openvino").embed(pixels)
    with CountingExecutor() as inferring:
        embedder = open_embedder(folder, "openvino", inferring=inferring)
        np.testing.assert_allclose(embedder.embed(pixels), expected, atol=1e-6)
        assert inferring.given == len(pixels)
        with pytest.raises(ValueError, match="broadcast"):
            embedder.embed(pixels[:, :16])


def test_pixels_of_any_memory_layout_are_read(
    embedder: function.embedder.Embedder, pixels: NDArray[np.uint8]
) -> None:
    turned = np.ascontiguousarray(pixels.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(embedder.embed(turned), embedder.embed(pixels), atol=1e-6)


@pytest.mark.parametrize(
    ("engine", "damaged"),
    [("openvino", EMBEDDER_ONNX), ("jax", EMBEDDER_STABLEHLO), ("jax", CHECKPOINT)],
)
def test_a_program_that_cannot_run_is_a_release_error(
    folder: Path, tmp_path: Path, engine: str, damaged: str
) -> None:
    for name in {EMBEDDER_ONNX, EMBEDDER_STABLEHLO, CHECKPOINT} - {damaged}:
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(ReleaseError, match=f"engine {engine}: expected a program"):
        open_embedder(tmp_path, engine)
    (tmp_path / damaged).write_bytes(b"no program")
    with pytest.raises(ReleaseError, match=f"engine {engine}: expected a program"):
        open_embedder(tmp_path, engine)


def test_an_unknown_engine_lists_the_known(folder: Path) -> None:
    with pytest.raises(ReleaseError, match="expected one of openvino, jax; found 'torch'"):
        open_embedder(folder, "torch")


def test_the_engine_reports_to_nobody_and_forks_nothing(folder: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "from function.embedder import open_embedder\n"
        "os.register_at_fork(before=lambda: os._exit(3))\n"
        "open_embedder(Path(sys.argv[1]), 'openvino'); time.sleep(0.2)\n"
        "sys.exit('openvino_telemetry.main' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)


def test_a_process_that_closed_several_programs_still_hears_signals(folder: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path\n"
        "from function.embedder import open_embedder\n"
        "first, second = (open_embedder(Path(sys.argv[1]), 'openvino') for _ in range(2))\n"
        "del first\n"
        "del second\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(folder)]).returncode == 7


def test_importing_the_module_loads_no_engine() -> None:
    script = (
        "import sys, function.embedder, function.index, function.release\n"
        "heavy = {'jax', 'openvino', 'scann', 'orbax', 'google.cloud.storage'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
