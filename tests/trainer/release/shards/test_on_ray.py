"""Embedding on a real Ray cluster: the same rows, whatever is killed meanwhile."""

import csv
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from function.release import read_manifest
from function.storage import open_storage
from tests.ray_cluster import RayCluster
from tests.releases import TinyRelease, draw_photo
from tests.trainer.release.shards.driver import ROWS, opened_program
from tests.trainer.test_cli import TINY, answer, lookalike
from trainer.data.catalog import open_catalog
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.job import EMBEDDINGS

PHOTOS = 1200
SHARDS = PHOTOS // ROWS
BAD = {7: "p3/1.jpg", 600: "p300/0.jpg"}
"""Photos that are none, by their place."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 products with two photos each, the second without an address."""
    folder = tmp_path_factory.mktemp("shop")
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("product_id", "image", "image_url"))
        for number in range(PHOTOS):
            product, view = divmod(number, 2)
            image = f"p{product}/{view}.jpg"
            (folder / image).parent.mkdir(exist_ok=True)
            draw_photo(product, view).save(folder / image)
            table.writerow((f"p{product}", image, "" if view else f"https://shop.example/{image}"))
    for image in BAD.values():
        (folder / image).write_bytes(b"no photo")
    return folder


@pytest.fixture(scope="module")
def here(shop: Path, tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root into which this process has embedded the shop."""
    root = tmp_path_factory.mktemp("here")
    embedder = CatalogEmbedder(open_storage(root), on_bad_photo="skip", rows_per_shard=ROWS)
    embedder.embed(open_catalog(shop), opened_program(release_folder(tiny_release)))
    return root


def release_folder(release: TinyRelease) -> Path:
    return release.root / "releases" / release.release_id


def shard_files(root: Path) -> dict[str, Path]:
    """What says that shards are done, and what they hold."""
    kinds = ("done-*.json", "vectors-*.parquet")
    return {path.name: path for kind in kinds for path in root.glob(f"{EMBEDDINGS}/*/{kind}")}


def digests(root: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in shard_files(root).items()
    }


def markers(root: Path) -> dict[str, int]:
    """When each shard was done."""
    return {
        name: path.stat().st_mtime_ns
        for name, path in shard_files(root).items()
        if name.startswith("done-")
    }


@contextmanager
def embedding(
    cluster: RayCluster, release: TinyRelease, shop: Path, root: Path, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """A publisher's process, killed with the test."""
    command = [sys.executable, "-m", "tests.trainer.release.shards.driver"]
    command += [str(release_folder(release)), str(shop), str(root), *(options or ("skip",))]
    with subprocess.Popen(
        command,
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome(process: subprocess.Popen[str]) -> Any:
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(out)


def wait_for_shards(process: subprocess.Popen[str], root: Path, count: int) -> None:
    """Until so many are done, and not all of them; however long a busy machine takes."""
    while len(markers(root)) < count:
        if process.poll() is not None:
            pytest.fail(f"ended too soon: {process.communicate()}")
    assert len(markers(root)) < SHARDS


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_killed_node_costs_no_photo_and_a_killed_publisher_none_that_was_done(
    ray_cluster: Callable[..., RayCluster],
    tiny_release: TinyRelease,
    shop: Path,
    here: Path,
    tmp_path: Path,
) -> None:
    """One cluster, for it takes a minute to start where others use the machine too."""
    cluster = ray_cluster(2, 2, 2)
    listed = [photo.image for photo in open_catalog(shop).photos if photo.image not in BAD.values()]

    root = tmp_path / "node"
    with embedding(cluster, tiny_release, shop, root) as process:
        wait_for_shards(process, root, 6)
        cluster.nodes[1].kill()
        told = outcome(process)
    assert told["photos"] == listed
    assert [image for image, _ in told["bad"]] == list(BAD.values())
    assert digests(root) == digests(here)

    root = tmp_path / "driver"
    with embedding(cluster, tiny_release, shop, root) as process:
        wait_for_shards(process, root, 6)
        process.send_signal(signal.SIGKILL)
        process.wait()
    cluster.add_nodes(2)
    before = markers(root)
    with embedding(cluster, tiny_release, shop, root) as process:
        out, errors = process.communicate()
        assert process.returncode == 0, errors
    after = markers(root)
    assert {name: after[name] for name in before} == before
    assert json.loads(out)["photos"] == listed
    assert digests(root) == digests(here)
    # Workers that outlive their publisher for a moment may finish the shard that they have.
    assert f"{len(before) * ROWS:,} photos were embedded by an attempt before this one." in errors

    root = tmp_path / "strict"
    with embedding(cluster, tiny_release, shop, root, "fail", "2") as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "UnreadablePhoto: p3/1.jpg (row 9): " in errors


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_published_by_ray_is_what_is_published_without(
    ray_cluster: Callable[..., RayCluster], tmp_path: Path
) -> None:
    catalog, run = tmp_path / "catalog", tmp_path / "run"
    made = lookalike(
        *("data", "studio", "--out", catalog, "--products", "16"),
        *("--photos-per-product", "4", "--image-size", "48"),
    )
    assert made.returncode == 0, made.stderr
    answer("train", "--catalog", catalog, "--run", run, *TINY)
    cluster = ray_cluster(2)
    environment = {**cluster.environment}
    address = environment.pop("RAY_ADDRESS")
    command = [sys.executable, "-m", "trainer", "publish", "--json", "--run", str(run)]
    command += ["--catalog", str(catalog)]
    ray = ("--runner", "ray", "--ray-address", address, "--ray-workers", "2")
    manifests = []
    for root, options in (("one", ()), ("other", ray)):
        done = subprocess.run(
            [*command, "--root", str(tmp_path / root), *options],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        storage = open_storage(tmp_path / root)
        manifests.append(read_manifest(storage, json.loads(done.stdout)["release_id"]))
    one, other = manifests
    assert one.index.index_id == other.index.index_id
    assert one.counts == other.counts
    assert not (tmp_path / "other" / EMBEDDINGS).exists()
