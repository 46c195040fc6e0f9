"""Photos a second through shards: what each further worker of a Ray cluster adds.

    python -m tests.benchmarks.runners --workers 1 2 3 4

Drawn photos, 512×384 JPEG, that have addresses, so none are stored. First with a stand-in for a
device: a program that sleeps a stated time for each photo, as a worker does that waits for an
accelerator of its own, and leaves the processors to all others; reading, decoding, signatures and
shards are real. Then with a real ResNet-50 at 224 px in this process, and on one and two workers,
which share this machine's processors. The cluster is a head and two nodes, all on this machine; its
start and its end do not count: of each run the photos a second are counted between the first
quarter and the last tenth of its shards.
"""

import argparse
import csv
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from flax import nnx
from numpy.typing import NDArray

from function.embedder import open_embedder
from function.storage import open_storage
from tests.benchmarks.timing import Row, report
from tests.benchmarks.update import VIEWS, draw
from tests.ray_cluster import RayCluster
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.release.build import export_program
from trainer.release.shards import cluster as on_ray
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.cluster import Cluster
from trainer.release.shards.planning import OpenProgram
from trainer.release.shards.worker import EmbedShards

ROWS = 8
"""Photos of a shard: few, so that the rate of short runs is known well."""


class StandIn(EmbedShards):
    """A worker whose program sleeps."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._embedder = Sleeping(self._embedder.dim, self._embedder.image_size)


class Sleeping:
    """Takes as long for each photo as `SLEEP_MS` says, and gives them all one vector."""

    def __init__(self, dim: int, image_size: int) -> None:
        self.dim, self.image_size, self.precision = dim, image_size, "float"
        self._seconds = float(os.environ["SLEEP_MS"]) / 1000

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(self._seconds * len(pixels))
        return np.eye(1, self.dim, dtype=np.float32).repeat(len(pixels), axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--sleep-ms", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run with the stand-in")
    parser.add_argument("--photos", type=int, default=480, help="of each run with the real program")
    options = parser.parse_args()
    os.environ["SLEEP_MS"] = str(options.sleep_ms)
    config = ModelConfig(architecture="resnet50", embedding_dim=256)
    model = Embedder(config, rngs=nnx.Rngs(0))
    model.eval()
    most = round(max(options.workers) * options.seconds * 1000 / options.sleep_ms)
    cluster = RayCluster()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        try:
            catalog = draw_catalog(Path(scratch) / "photos", max(most, options.photos))
            folder = Path(scratch) / "program"
            folder.mkdir()
            program = export_program(model, 224, catalog.subset(catalog.photos[:4]), folder)
            opened = OpenProgram(folder, program.model, open_embedder(folder, "openvino"))
            os.environ.update(cluster.environment)
            cluster.add_nodes(*[-(-max(options.workers) // 2) + 1] * 2)

            def rate(photos: int, workers: int | None) -> float:
                chosen = catalog.subset(catalog.photos[:photos])
                return measured(chosen, opened, Path(scratch) / "root", workers)

            table = stand_in_rows(options.workers, options.seconds, options.sleep_ms, rate)
            table += real_rows(options.photos, rate)
        finally:
            cluster.stop()
    title = f"photos a second; the stand-in sleeps {options.sleep_ms:g} ms a photo"
    report("runners", title, table)


def stand_in_rows(workers: list[int], seconds: float, sleep_ms: float, rate: Any) -> list[Row]:
    """A line for each number of workers, beside what its sleeping would allow."""
    found: list[Row] = []
    alone = 0.0
    with mock.patch.object(on_ray, "EmbedShards", StandIn):
        for count in workers:
            each = rate(round(count * seconds * 1000 / sleep_ms), count)
            alone = alone or each / count
            found.append(
                {
                    "program": "stand-in",
                    "runner": f"ray, {count} workers",
                    "photos/s": each,
                    "of linear": each / (alone * count),
                    "of the sleep's limit": each / (count * 1000 / sleep_ms),
                    "of local": None,
                }
            )
    return found


def real_rows(photos: int, rate: Any) -> list[Row]:
    """In this process, then on workers that share its processors, then in this process again."""
    first = rate(photos, None)
    rates = [(f"ray, {count} workers", rate(photos, count)) for count in (1, 2)]
    here = (first + rate(photos, None)) / 2
    told = [("local, the mean of before and after", here), *rates]
    return [
        {
            "program": "ResNet-50, 224 px",
            "runner": runner,
            "photos/s": each,
            "of linear": None,
            "of the sleep's limit": None,
            "of local": each / here,
        }
        for runner, each in told
    ]


def measured(catalog: Catalog, program: OpenProgram, root: Path, workers: int | None) -> float:
    """Embed a catalogue into an empty root; the photos a second of the middle of the run."""
    shutil.rmtree(root, ignore_errors=True)
    cluster = None if workers is None else Cluster(workers=workers)
    embedder = CatalogEmbedder(open_storage(root), cluster=cluster, rows_per_shard=ROWS)
    embedder.embed(catalog, program)
    done = np.sort([path.stat().st_mtime_ns for path in root.glob("embeddings/*/done-*")]) / 1e9
    first, last = len(done) // 4, len(done) * 9 // 10
    return float(ROWS * (last - first) / (done[last] - done[first]))


def draw_catalog(folder: Path, photos: int) -> Catalog:
    """Draw so many photos, or a few more."""
    folder.mkdir()
    with (folder / "catalog.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["product_id", "image", "image_url", "title"])
        table.writeheader()
        for number in range(-(-photos // VIEWS)):
            table.writerows(draw(folder, f"p{number}"))
    return open_catalog(folder / "catalog.csv")


if __name__ == "__main__":
    main()
