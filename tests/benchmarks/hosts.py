"""What training over hosts costs beside one process: the same step, the same global batch.

    python -m tests.benchmarks.hosts --turns 3

Photos learned from each second, without the first step, which compiles; of one process, of two
processes that find each other by jax.distributed, and of two workers of Ray Train on two nodes of a
cluster, in turn. All share the processors of this machine and its loopback address, so no speed-up
is to be seen: what is seen is what exchange and Ray cost.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.timing import Row, report
from tests.ports import free_port
from tests.ray_cluster import RayCluster
from tests.trainer.training.conftest import write_catalog
from tests.trainer.training.hosts import environment_of

ONE, PLAIN, RAY = "one process", "two, jax.distributed", "two, Ray Train"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        shop = write_catalog(Path(scratch) / "shop", products=32)
        cluster = RayCluster()
        try:
            cluster.add_nodes(1, 1)
            rates = measure(shop, Path(scratch), cluster, options)
        finally:
            cluster.stop()
    one = rates[ONE]
    table: list[Row] = [
        {
            "trained by": kind,
            "photos/s": statistics.median(found),
            "of one process": statistics.median(a / b for a, b in zip(found, one, strict=True)),
        }
        for kind, found in rates.items()
    ]
    report("hosts", f"ResNet-18 at 64 px, 64 photos a batch, {options.turns} turns", table)


def measure(
    shop: Path, scratch: Path, cluster: RayCluster, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Photos a second of each kind, turn by turn."""
    rates: dict[str, list[float]] = {ONE: [], PLAIN: [], RAY: []}
    for turn in range(options.turns):
        for kind, found in rates.items():
            command = [
                *(sys.executable, "-m", "trainer", "train", "--json", "--catalog", str(shop)),
                *("--run", str(scratch / f"{kind}-{turn}"), "--steps", str(options.steps)),
                *("--architecture", "resnet18", "--image-size", "64", "--holdout", "0.2"),
            ]
            if kind == RAY:
                ends = run([*command, "--distributed", "ray"], [cluster.environment])
            elif kind == PLAIN:
                address = f"127.0.0.1:{free_port()}"
                places = [environment_of(index, address) for index in range(2)]
                ends = run([*command, "--distributed", "on"], places)
            else:
                ends = run([*command, "--distributed", "off"], [None])
            found.append(json.loads(ends[0])["images_per_second"])
    return rates


def run(command: Sequence[str], places: Sequence[Mapping[str, str] | None]) -> list[str]:
    """Run it in each environment at once; what each printed."""
    processes = [
        subprocess.Popen(command, env=place, stdout=subprocess.PIPE, text=True) for place in places
    ]
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(f"{' '.join(command)} ended with {[p.returncode for p in processes]}.")
    return printed


if __name__ == "__main__":
    main()
