"""A release measured beside the network that it was made of."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from function.errors import ReleaseError
from function.loading import load_search_engine
from function.photo import load_pixels
from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.errors import TrainingError
from trainer.evaluation.attribution import STEPS
from trainer.evaluation.report.writing import write_report
from trainer.evaluation.served import served_recall
from trainer.release.from_run import publish_run
from trainer.release.indexing import build_index
from trainer.training.experiment import Experiment
from trainer.training.loop import train
from trainer.training.run import Run

FROZEN = Experiment(
    architecture="resnet18", width=4, image_size=32, steps=0, holdout=0.5, products_per_batch=2
)


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("xla")))
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def write_catalog(folder: Path, *, roles: bool = True) -> Catalog:
    """Ten patterns with three noisy photos each, and a product that has a query photo alone."""
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "product_id", "role", "split"))
        for product in range(11):
            random = np.random.default_rng(product)
            pattern = random.integers(60, 196, (4, 4, 3)).repeat(10, 0).repeat(10, 1)
            for photo in range(3) if product < 10 else [1]:
                noisy = pattern + random.normal(0, 50, pattern.shape)
                name = f"{product}-{photo}.png"
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
                role = ("query" if photo else "catalog") if roles else ""
                writer.writerow((name, f"p{product}", role, "test" if product > 4 else "train"))
    return open_catalog(folder)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_catalog(tmp_path_factory.mktemp("shop") / "own")


@pytest.fixture(scope="module")
def published(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The URL of a run, and the root of its release."""
    run, root = (str(tmp_path_factory.mktemp("made") / name) for name in ("run", "root"))
    train(catalog, run, FROZEN)
    publish_run(run, catalog, root)
    return run, root


def test_the_served_recall_is_that_of_the_functions_own_answers(
    published: tuple[str, str], catalog: Catalog, tmp_path: Path
) -> None:
    run_url, root = published
    results = served_recall(run_url, catalog, root)
    assert (results["task"], results["index"], results["step"]) == ("query_to_catalog", "exact", 0)
    # p10 has no photo in the release.
    assert (results["queries"], results["queries_without_relevant"]) == (10, 1)
    assert (results["products"], results["photos"]) == (10, 10)
    engine = load_search_engine(open_storage(root), engine="openvino", cache_dir=tmp_path)
    queries = [
        photo
        for photo in Run(run_url).split(catalog).evaluation.photos
        if photo.role == "query" and photo.product_id != "p10"
    ]
    for k in (1, 5, 10):
        found = 0
        for photo in queries:
            matches = engine.search(load_pixels(catalog.read(photo), 32), 10).matches[:k]
            found += photo.product_id in [match.product.id for match in matches]
        assert results["steps"]["export"][f"recall_at_{k}"] == found / len(queries)
    engine.catalog.close()
    assert Run(run_url).read_json("served.json") == results


def test_the_report_shows_what_is_served(published: tuple[str, str], catalog: Catalog) -> None:
    run_url, root = published
    results = served_recall(run_url, catalog, root)
    html = Path(write_report(run_url, catalog)["report"]).read_text()
    section = html.partition('id="as-served"')[2].partition("<h2")[0]
    assert f"Release {results['release']}" in section
    assert "Its index is exact" in section
    for step in ("trained", "export"):
        figures = results["steps"][step]
        for k in (1, 5, 10):
            assert f"{figures[f'recall_at_{k}']:.1%}" in section
    assert "whole gap" in section


def test_without_query_photos_each_photo_finds_anything_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = write_catalog(tmp_path / "shop", roles=False)
    run, root = str(tmp_path / "run"), str(tmp_path / "root")
    train(catalog, run, FROZEN)
    publish_run(run, catalog, root)
    results = served_recall(run, catalog, root)
    assert (results["task"], results["queries"]) == ("leave_one_out", 15)
    assert results["queries_without_relevant"] == 1
    # Else each would be its own nearest neighbour.
    assert results["steps"]["trained"]["recall_at_1"] < 1
    few = served_recall(run, catalog, root, max_queries=4)
    assert (few["queries"], few["queries_available"]) == (4, 15)

    # The same behind a tree: each step is there and charged.
    monkeypatch.setattr("trainer.release.rows.build_index", partial(build_index, exact_rows=1))
    monkeypatch.setattr("trainer.release.indexing.choose", lambda curve, recall: curve[1])
    publish_run(run, catalog, root)
    behind_tree = served_recall(run, catalog, root)
    assert behind_tree["index"] == "scann"
    assert all(behind_tree["steps"][step] for step in STEPS)
    assert behind_tree["steps"]["export"] == results["steps"]["export"]


def test_a_release_of_other_weights_or_another_catalogue_is_refused(
    published: tuple[str, str], catalog: Catalog, tmp_path: Path
) -> None:
    run_url, root = published
    other = str(tmp_path / "other")
    train(catalog, other, replace(FROZEN, width=6))
    with pytest.raises(TrainingError, match="was not made of the last checkpoint"):
        served_recall(other, catalog, root)
    fewer = catalog.subset(photo for photo in catalog.photos if photo.product_id != "p9")
    with pytest.raises(TrainingError, match="another catalogue: expected its 10 photos"):
        served_recall(run_url, fewer, root)
    with pytest.raises(ReleaseError, match="found none"):
        served_recall(run_url, catalog, str(tmp_path / "empty"))
