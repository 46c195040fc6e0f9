import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from function.photo import load_pixels
from trainer.cli import main
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.errors import TrainingError
from trainer.evaluation.embedding_store import read_embeddings, write_embeddings
from trainer.evaluation.evaluate import baselines, evaluate
from trainer.evaluation.metrics import retrieval_metrics
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config
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


def write_catalog(folder: Path, *, seed: int = 0, roles: bool = True) -> Catalog:
    """Eight products of one colour each with three photos, and two photos of no product."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "product_id", "role"))
        for product in range(8):
            colour = random.integers(30, 226, 3)
            for photo in range(3):
                noisy = colour + random.normal(0, 12, (36, 48, 3))
                name = f"{product}-{photo}.png"
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
                role = ("query" if photo else "catalog") if roles else ""
                writer.writerow((name, f"p{product}", role))
        for stranger in range(2) if roles else ():
            noise = random.integers(0, 256, (36, 48, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"stranger-{stranger}.png")
            writer.writerow((f"stranger-{stranger}.png", "", "query"))
    return open_catalog(folder)


@pytest.fixture(scope="module")
def catalog_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shops") / "own"


@pytest.fixture(scope="module")
def catalog(catalog_folder: Path) -> Catalog:
    return write_catalog(catalog_folder)


@pytest.fixture(scope="module")
def run_url(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that keeps its random weights, with half of the products unseen."""
    url = str(tmp_path_factory.mktemp("runs") / "run")
    train(catalog, url, FROZEN)
    return url


def test_only_unseen_products_of_the_runs_own_catalogue_count(
    run_url: str, catalog: Catalog
) -> None:
    results = evaluate(run_url, catalog)
    assert (results["products"], results["photos"], results["open_set_queries"]) == (4, 14, 2)
    assert (results["catalog"], results["step"]) == (catalog.fingerprint, 0)
    asked = results["query_to_catalog"]
    assert (asked["queries"], asked["gallery"]) == (8, 4)
    left = results["leave_one_out"]
    assert (left["queries"], left["gallery"]) == (12, 12)
    for figures in (asked, left):
        recalls = [figures[f"recall_at_{k}"] for k in (1, 5, 10, 100)]
        assert recalls == sorted(recalls)
        assert 0 <= figures["map_at_r"] <= recalls[-1] == 1.0
    assert json.loads(Run(run_url).storage.read("evaluation.json")) == results


def test_the_figures_are_those_of_the_model_on_the_functions_pixels(
    run_url: str, catalog: Catalog
) -> None:
    run = Run(run_url)
    photos = [photo for photo in run.split(catalog).evaluation.photos if photo.product_id]
    pixels = np.stack([load_pixels(catalog.read(photo), 32) for photo in photos])
    model, _ = run.load()
    vectors = np.asarray(jax.jit(model.__call__)(pixels))
    ids = [photo.product_id for photo in photos]
    expected = retrieval_metrics(vectors, ids, vectors, ids, self_index=np.arange(len(ids)))
    found = evaluate(run_url, catalog)["leave_one_out"]
    shared = {name: found[name] for name in expected.to_dict()}
    assert shared == pytest.approx(expected.to_dict(), abs=1e-5)


def test_conventions_are_scored_when_asked_for(run_url: str, catalog: Catalog) -> None:
    results = evaluate(run_url, catalog, conventions=True)
    for task in ("query_to_catalog", "leave_one_out"):
        ours = results["conventions"][task]["lookalike"]
        for name in ("recall_at_1", "map_at_r"):
            pessimistic, optimistic = results[task][name], results[task]["optimistic"][name]
            assert ours[name] == pytest.approx([pessimistic, optimistic])
    assert json.loads(Run(run_url).storage.read("evaluation.json")) == results
    assert "conventions" not in evaluate(run_url, catalog)


def test_the_command_scores_by_conventions_when_asked_to(
    run_url: str, catalog_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--run", run_url, "--catalog", str(catalog_folder)]
    main([*command, "--conventions"])
    assert "open-metric-learning" in capsys.readouterr().out
    main([*command, "--conventions", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["conventions"]["leave_one_out"]["open_metric_learning"]["recall_at_1"]
    main([*command, "--json"])
    assert "conventions" not in json.loads(capsys.readouterr().out)


def test_all_of_another_catalogue_counts_and_what_is_bad_there_is_skipped(
    run_url: str, tmp_path: Path
) -> None:
    other = write_catalog(tmp_path / "other", seed=1, roles=False)
    missing = replace(other.photos[0], image="missing.png")
    results = evaluate(run_url, other.subset([*other.photos, missing]))
    assert (results["products"], results["photos"]) == (8, 24)
    assert results["query_to_catalog"] is None
    assert results["leave_one_out"]["queries"] == 24
    names = Run(run_url).storage.list()
    assert sum(name.startswith("evaluation-") for name in names) == 1


def test_the_vectors_are_kept_with_their_photos(run_url: str, catalog: Catalog) -> None:
    run = Run(run_url)
    photos = run.split(catalog).evaluation.photos
    labelled = replace(photos[0], title="Ærø, 6 × 100 g", labels=(("colour", "red"), ("size", "")))
    results = evaluate(run_url, catalog)
    kept = read_embeddings(run, "")
    assert kept is not None
    assert kept.photos == photos
    assert (kept.step, kept.catalog) == (0, catalog.name)
    ids = [photo.product_id for photo in photos if photo.product_id]
    known = kept.vectors[[bool(photo.product_id) for photo in photos]]
    again = retrieval_metrics(known, ids, known, ids, self_index=np.arange(len(ids)))
    assert results["leave_one_out"]["map_at_r"] == again.map_at_r
    write_embeddings(run, "-other", replace(kept, photos=(labelled, *photos[1:])))
    other = read_embeddings(run, "-other")
    assert other is not None
    assert other.photos[0] == labelled
    assert read_embeddings(run, "-none") is None


def test_baselines_are_kept_in_the_run(run_url: str, catalog: Catalog) -> None:
    assert baselines(run_url, catalog) == Run(run_url).read_json("baselines.json")


def test_the_colour_histogram_solves_a_catalogue_of_plain_colours(
    run_url: str, catalog: Catalog
) -> None:
    results = baselines(run_url, catalog)
    assert list(results) == ["colour_histogram"]
    assert results["colour_histogram"]["leave_one_out"]["recall_at_1"] == 1.0
    assert results["colour_histogram"]["photos"] == 14


def test_the_untrained_network_is_measured_where_a_run_trains(
    catalog: Catalog, tmp_path: Path
) -> None:
    run = Run(str(tmp_path / "run"))
    trained = replace(FROZEN, steps=10)
    run.claim(trained, initial_config(trained), catalog)
    results = baselines(run.url, catalog)
    frozen = str(tmp_path / "frozen")
    train(catalog, frozen, FROZEN)
    expected = evaluate(frozen, catalog)
    for key in ("query_to_catalog", "leave_one_out"):
        assert results["untrained_network"][key] == expected[key]


def test_a_run_that_kept_nothing_unseen_says_so(catalog: Catalog, tmp_path: Path) -> None:
    url = str(tmp_path / "run")
    train(catalog, url, replace(FROZEN, holdout=0.0))
    with pytest.raises(TrainingError, match=r"kept no product of own unseen \(--holdout 0\.0\)"):
        evaluate(url, catalog)


def test_a_picture_of_what_is_found_lies_in_the_run(run_url: str, catalog: Catalog) -> None:
    evaluate(run_url, catalog)
    with Image.open(Path(run_url) / "retrieval.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
