"""The page of a run: complete, self-contained, escaped, and right about what it shows."""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jax
import pytest

from tests.patterns import noisy_patterns
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.errors import TrainingError
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.report.confusions import confusions
from trainer.evaluation.report.curves import MAX_POINTS, curve_figures
from trainer.evaluation.report.writing import write_report
from trainer.training.experiment import Experiment
from trainer.training.loop import train
from trainer.training.run import Run

FROZEN = Experiment(
    architecture="resnet18", width=4, image_size=32, steps=0, holdout=0.5, products_per_batch=2
)
# Trains the head alone: it compiles in a fraction of the time.
TRAINED = replace(
    FROZEN,
    embedding_dim=8,
    steps=6,
    photos_per_product=2,
    products_per_batch=3,
    frozen_stages=4,
    batch_norm="frozen",
    learning_rate=1e-3,
    warmup_steps=1,
    log_every=2,
)
HOSTILE = '<script>alert("1")</script><img src=https://evil.example/x.png> $x_1$ {{ 7*7 }} &amp;'


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("xla")))
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def write_catalog(folder: Path, *, products: int = 12, categories: bool = True) -> Catalog:
    """Noisy patterns, three photos each; titles and categories mean harm."""
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "product_id", "role", "title", "category"))
        for product, photo, picture in noisy_patterns(products, noise=60):
            name = f"{product}-{photo}.png"
            picture.save(folder / name)
            role = "query" if photo else "catalog"
            category = f"<b>kind</b> {product % 3} $a_b$" if categories else ""
            writer.writerow((name, f"p{product}", role, f"{HOSTILE} {product}", category))
    return open_catalog(folder)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_catalog(tmp_path_factory.mktemp("shops") / "shop")


@pytest.fixture(scope="module")
def run_url(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("runs") / "run")
    train(catalog, url, TRAINED)
    return url


@pytest.fixture(scope="module")
def page(run_url: str, catalog: Catalog) -> str:
    written = write_report(run_url, catalog)
    return Path(written["report"]).read_text()


class Elements(HTMLParser):
    """Tags with their attributes, the headings, and the text outside styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("h2", "style") else self._inside
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside == "h2":
            self.headings[-1] += data
        elif self._inside != "style":
            self.text += data


def test_the_page_has_every_part(page: str) -> None:
    found = Elements(page)
    assert [heading.strip() for heading in found.headings] == [
        *("Recall", "Training", "Checks", "Similarities", "Hardest queries"),
        *("By category", "Confusions", "Map", "Settings"),
    ]
    assert "photo → catalogue" in found.text
    assert "untrained network" in found.text
    assert "products per batch" in found.text
    assert "default 16" in found.text


def test_the_page_shows_the_measured_figures(page: str, run_url: str) -> None:
    measured = Run(run_url).read_json("evaluation.json")
    assert measured is not None
    assert f"{measured['query_to_catalog']['recall_at_1']:.1%}" in page
    assert f"{measured['leave_one_out']['map_at_r']:.1%}" in page


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    found = Elements(page)
    for tag, attributes in found.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    for address in re.findall(r"url\(\s*['\"]?([^)'\"]*)|@import\s+(\S+)", page):
        assert address[0].startswith(("#", "data:")), address


def test_hostile_names_are_text(page: str) -> None:
    assert "<script" not in page
    assert "<b>kind" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert HOSTILE in Elements(page).text


def test_photos_stand_in_the_page_with_their_marks(page: str) -> None:
    found = Elements(page)
    thumbnails = [a for tag, a in found.tags if tag == "img" and "jpeg" in (a["src"] or "")[:16]]
    assert len(thumbnails) > 20
    marks = [attributes.get("class") for tag, attributes in found.tags if tag == "li"]
    assert {"right", "wrong"} <= set(marks)


def test_without_the_catalogue_the_runs_own_files_make_the_page(
    page: str, run_url: str, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "page.html"
    out.parent.mkdir()
    written = write_report(run_url, out=out)
    assert written["report"] == str(out)
    alone = Elements(out.read_text())
    assert alone.headings == Elements(page).headings
    assert HOSTILE in alone.text
    assert len([tag for tag, _ in alone.tags if tag == "img"]) == 1, "the map alone"


def test_with_the_catalogue_an_evaluation_of_an_earlier_step_is_made_again(
    run_url: str, catalog: Catalog
) -> None:
    run = Run(run_url)
    right = evaluate(run_url, catalog)
    run.write_json("evaluation.json", {**right, "step": 3, "photos": 999})
    write_report(run_url, catalog)
    assert run.read_json("evaluation.json") == right


def test_a_run_without_training_categories_or_evaluation_has_a_page(tmp_path: Path) -> None:
    few = write_catalog(tmp_path / "few", products=4, categories=False)
    run = str(tmp_path / "run")
    train(few, run, FROZEN)
    before = Elements(Path(write_report(run)["report"]).read_text())
    assert "Nothing was measured yet" in before.text
    written = write_report(run, few)
    after = Elements(Path(written["report"]).read_text())
    assert "nothing to log" in after.text
    assert not {"By category", "Confusions"} & set(after.headings)
    assert {check["name"] for check in written["checks"]} >= {"Ties", "Better than no learning"}


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is no run"):
        write_report(str(tmp_path / "nothing"))


def test_curves_are_drawn_from_whatever_was_logged() -> None:
    assert curve_figures([]) == []
    assert curve_figures([{"step": 1, "loss": None}]) == []
    (single,) = curve_figures([{"step": 1, "loss": 0.5}, {"step": 2}])
    assert "at the end 0.5" in single.alt
    long = curve_figures([{"step": n, "loss": 1.0, "learning_rate": 0.1} for n in range(20_000)])
    assert len(long) == 2
    enough = curve_figures([{"step": n, "loss": 1.0} for n in range(MAX_POINTS)])
    assert len(long[0].image) < 1.3 * len(enough[0].image)


def test_confusions_are_counted_where_both_categories_are_known() -> None:
    pairs = confusions(["a", "a", "b", "", "a"], ["b", "b", "b", "a", ""])
    assert pairs == {("a", "b"): 2, ("b", "b"): 1}
