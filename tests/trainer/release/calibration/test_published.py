"""From a run with unseen products to a release, its answers, and the run's report."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from function.loading import load_search_engine
from function.manifest import Manifest, Precision
from function.photo import load_pixels
from function.release import file_info, read_manifest, release_prefix
from function.storage import open_storage
from tests.patterns import noisy_patterns
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.report.writing import write_report
from trainer.release import questions
from trainer.release.calibration.figure import CALIBRATION
from trainer.release.from_run import publish_run, unseen_products
from trainer.training.experiment import Experiment
from trainer.training.loop import train
from trainer.training.run import Run

pytestmark = pytest.mark.slow

IMAGE_SIZE = 32
FROZEN = Experiment(
    architecture="resnet18",
    width=4,
    image_size=IMAGE_SIZE,
    steps=0,
    products_per_batch=2,
)
PRODUCTS, UNSEEN = 26, 22
# With 20 scores of right and wrong results hardly differ; with 10, 41 of 52 queries find theirs.
NOISE = 10


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("xla")))
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def write_catalog(folder: Path, *, roles: bool, unseen: int = UNSEEN) -> Catalog:
    """Noisy patterns, three photos each; with roles one for the catalogue and two customers'."""
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "product_id", "role", "split"))
        for product, photo, picture in noisy_patterns(PRODUCTS, noise=NOISE):
            name = f"{product}-{photo}.png"
            picture.save(folder / name)
            role = ("query" if photo else "catalog") if roles else ""
            split = "test" if product < unseen else "train"
            writer.writerow((name, f"p{product}", role, split))
    return open_catalog(folder)


def published(catalog: Catalog, folder: Path, **options: Any) -> tuple[str, Path, Manifest]:
    """The run, the root, and what its release says."""
    run, root = str(folder / "run"), folder / "root"
    train(catalog, run, FROZEN)
    release_id = publish_run(run, catalog, str(root), **options)
    return run, root, read_manifest(open_storage(root), release_id)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_catalog(tmp_path_factory.mktemp("catalogs") / "shop", roles=True)


@pytest.fixture(scope="module")
def shop(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Manifest]:
    return published(catalog, tmp_path_factory.mktemp("shop"), false_match_rate=0.1)


def test_customers_photos_of_unseen_products_calibrate_the_release(
    shop: tuple[str, Path, Manifest],
) -> None:
    _, root, manifest = shop
    calibration = manifest.calibration
    assert calibration is not None
    assert (calibration.queries, calibration.products) == (2 * UNSEEN, UNSEEN)
    assert calibration.target_false_match_rate == 0.1
    assert calibration.task == "query_to_catalog"
    picture = root / release_prefix(manifest.release_id) / CALIBRATION
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
    assert manifest.files[CALIBRATION] == file_info(picture)


def test_what_was_calibrated_is_what_is_answered(
    shop: tuple[str, Path, Manifest], catalog: Catalog, tmp_path: Path
) -> None:
    _, root, manifest = shop
    calibration = manifest.calibration
    assert calibration is not None
    engine = load_search_engine(open_storage(root), engine="openvino", cache_dir=tmp_path)
    best, weakest = [], []
    for photo in catalog.photos:
        if photo.role != "query":
            continue
        result = engine.search(load_pixels(catalog.read(photo), IMAGE_SIZE))
        for place, match in enumerate(result.matches):
            assert match.probability == calibration.match_probability(match.score, place)
            assert match.probability is not None
            assert 0 < match.probability < 1
        score = result.matches[0].score
        assert result.confident is (score >= calibration.score_threshold)
        (best if photo.product_id == result.matches[0].product.id else weakest).append(
            result.matches[0].probability
        )
    engine.catalog.close()
    assert np.mean(best) > np.mean(weakest)


def test_the_report_tells_what_was_measured(
    shop: tuple[str, Path, Manifest], catalog: Catalog
) -> None:
    run, _, manifest = shop
    evaluate(run, catalog)
    page = Path(write_report(run)["report"]).read_text()
    assert '<h2 id="calibration">' in page
    assert f"Release {manifest.release_id}, {2 * UNSEEN} of" in page
    kept = Run(run).read_json("calibration.json")
    assert kept is not None
    assert kept["release"] == manifest.release_id


class NeverAsked:
    """An embedder that has nothing to do."""

    precision: Precision = "float"
    dim, image_size = 4, IMAGE_SIZE

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        raise AssertionError("the rows' vectors are known")


def test_without_customers_photos_those_of_the_catalogue_ask_for_their_others(
    tmp_path: Path,
) -> None:
    catalog = write_catalog(tmp_path / "shop", roles=False)
    chosen = questions.choose_questions(catalog, catalog, {"p3", "p4"})
    rows = np.random.default_rng(0).random((len(catalog.photos), 4)).astype(np.float32)
    customers, answerable = chosen.embed(NeverAsked(), rows)
    assert customers is None
    assert answerable.queries.own_rows.tolist() == list(range(9, 15))
    np.testing.assert_array_equal(answerable.vectors, rows[9:15])


def test_where_nothing_is_unseen_nothing_is_asked(catalog: Catalog) -> None:
    gallery = catalog.subset(photo for photo in catalog.photos if photo.role != "query")
    rows = np.zeros((len(gallery.photos), 4), np.float32)
    customers, answerable = questions.choose_questions(catalog, gallery, ()).embed(
        NeverAsked(), rows
    )
    assert customers is None
    assert answerable.vectors.shape == (0, 4)


def test_a_query_is_embedded_once_for_tuning_and_calibration(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "EXACT_ROWS", 5)
    gallery = catalog.subset(photo for photo in catalog.photos if photo.role != "query")
    unseen = {f"p{product}" for product in range(UNSEEN)}
    chosen = questions.choose_questions(catalog, gallery, unseen)
    customers = chosen.customers.photos
    assert len(set(customers)) == len(customers) == 2 * PRODUCTS
    assert {photo.product_id for photo in chosen.asked.photos} == unseen


def test_too_few_unseen_products_leave_a_release_and_its_run_without(
    shop: tuple[str, Path, Manifest],
    catalog: Catalog,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, *_ = shop
    release_id = publish_run(run, catalog, str(tmp_path), false_match_rate=0.04)
    assert read_manifest(open_storage(tmp_path), release_id).calibration is None
    assert not (tmp_path / release_prefix(release_id) / CALIBRATION).exists()
    assert "expected photos of 25 products" in " ".join(capsys.readouterr().err.split())
    for name in ("calibration.json", "calibration.png"):
        assert not open_storage(run).exists(name)


def test_of_another_catalogue_than_the_runs_own_all_products_are_unseen(
    shop: tuple[str, Path, Manifest], catalog: Catalog, tmp_path: Path
) -> None:
    run, *_ = shop
    other = write_catalog(tmp_path / "other", roles=True, unseen=3)
    assert unseen_products(Run(run), catalog) == {f"p{product}" for product in range(UNSEEN)}
    assert unseen_products(Run(run), other) == {f"p{product}" for product in range(PRODUCTS)}
