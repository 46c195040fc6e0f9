"""Photos to vectors on all the devices of a process, four virtual ones here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

# In a process of its own: how many devices there are is said before JAX starts. Prints how many
# devices each batch was divided among, and saves what they and one alone gave.
EMBED = """
import sys
import jax
import numpy as np
from flax import nnx
from trainer.evaluation import embedding
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
put_rows = embedding.put_rows
def counted(mesh, rows):
    placed = put_rows(mesh, rows)
    print(len(placed.sharding.device_set))
    return placed
embedding.put_rows = counted
config = ModelConfig(architecture="resnet18", width=4, embedding_dim=16)
model = Embedder(config, rngs=nnx.Rngs(0))
model.eval()
alone = nnx.jit(lambda model, pixels: model(pixels))
embed, found = embedding.compiled(model), {}
for photos in (8, 6, 5):
    pixels = np.random.default_rng(photos).integers(0, 256, (photos, 32, 32, 3), np.uint8)
    found[f"{photos} divided"] = embed(pixels)
    found[f"{photos} alone"] = np.asarray(alone(model, pixels))
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def told_and_found(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """How many devices took part, batch by batch, and where the vectors lie."""
    out = tmp_path_factory.mktemp("devices") / "vectors.npz"
    done = subprocess.run(
        [sys.executable, "-c", EMBED, out],
        cwd=REPOSITORY,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split(), out


def test_a_batch_is_divided_among_as_many_devices_as_share_it_evenly(
    told_and_found: tuple[list[str], Path],
) -> None:
    assert told_and_found[0] == ["4", "2", "1"]


@pytest.mark.parametrize("photos", [8, 6, 5])
def test_devices_together_give_the_vectors_of_one(
    photos: int, told_and_found: tuple[list[str], Path]
) -> None:
    with np.load(told_and_found[1]) as found:
        divided, alone = found[f"{photos} divided"], found[f"{photos} alone"]
    assert divided.shape == (photos, 16)
    np.testing.assert_allclose(divided, alone, atol=1e-6)
