"""The report's sections, in the order in which they are read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from trainer.data.records import Photo
from trainer.evaluation.report.alarms import (
    Check,
    baseline_check,
    embedding_checks,
    training_checks,
)
from trainer.evaluation.report.calibration import calibration_section
from trainer.evaluation.report.curves import curve_figures
from trainer.evaluation.report.failures import confusion_section, failures_section, ranks
from trainer.evaluation.report.map import embedding_map
from trainer.evaluation.report.material import Evaluated, Material
from trainer.evaluation.report.recalls import (
    TASKS,
    category_section,
    recall_section,
    served_section,
)
from trainer.evaluation.report.settings import settings_section
from trainer.evaluation.report.similarities import (
    Similarities,
    similarities,
    similarity_figure,
)
from trainer.evaluation.report.spectrum import Spectrum, spectrum
from trainer.evaluation.tasks import main_task
from trainer.page import (
    Block,
    Illustration,
    Illustrations,
    Page,
    Section,
    Table,
    Text,
    Tile,
)


def report_page(
    material: Material,
    thumbnail: Callable[[Photo], str],
    read: Callable[[Photo], Image.Image] | None,
) -> tuple[Page, list[Check]]:
    """Compose the page, and return its checks too.

    Args:
        material: what is shown.
        thumbnail: a photo as a data: URI; "" where photos cannot be read.
        read: a small photo for the map; None where photos cannot be read.
    """
    evaluated, figures = material.evaluated, material.figures
    dim = material.experiment.embedding_dim
    checks = training_checks(
        material.curves,
        material.experiment.products_per_batch,
        dim or (evaluated.vectors.shape[1] if evaluated else 0),
    )
    sections: list[Section | None] = [recall_section(material)]
    if evaluated is not None and figures is not None:
        _, task = main_task(evaluated.photos)
        spread = spectrum(evaluated.vectors)
        found = similarities(evaluated.vectors, evaluated.product)
        checks += embedding_checks(spread, found, evaluated.products, figures)
        baselines = {
            name: measured[material.task]
            for name, measured in material.baselines.items()
            if measured[material.task]
        }
        checks = baseline_check(figures, baselines) + checks
        first_rank = ranks(evaluated, task)
        sections += [
            _curves_section(material),
            _checks_section(checks),
            served_section(material.served),
            calibration_section(material.calibration, material.calibration_picture),
            _similarity_section(found),
            failures_section(evaluated, task, first_rank, thumbnail),
            category_section(figures),
            confusion_section(evaluated, task, first_rank),
            _map_section(spread, evaluated, read),
        ]
    else:
        sections += [_curves_section(material), _checks_section(checks)]
    sections.append(settings_section(material))
    name = material.url.rstrip("/").rpartition("/")[2]
    page = Page(
        title=f"{name}: {material.experiment.architecture} on {material.trained_on['name']}",
        subtitle=_subtitle(material),
        tiles=_tiles(material, checks),
        sections=[section for section in sections if section is not None],
        footer="Made by lookalike report. Nothing on this page is loaded from elsewhere.",
    )
    return page, checks


def _subtitle(material: Material) -> str:
    experiment = material.experiment
    if not experiment.steps:
        return "Weights as they are, no training"
    return (
        f"{experiment.steps:,} steps of {experiment.products_per_batch} products with "
        f"{experiment.photos_per_product} photos each, {experiment.image_size} pixels, "
        f"seed {experiment.seed}"
    )


def _tiles(material: Material, checks: Sequence[Check]) -> list[Tile]:
    tiles = []
    figures = material.figures
    if material.evaluation is not None and figures is not None and figures["queries"]:
        low, high = figures["confidence_95"]["recall_at_1"]
        interval = "" if low is None else f", 95 %: {100 * low:.1f}–{high:.1%}"
        tiles = [
            Tile("R@1", f"{figures['recall_at_1']:.1%}", TASKS[material.task] + interval),
            Tile("R@10", f"{figures['recall_at_10']:.1%}", f"{figures['queries']:,} queries"),
            Tile("MAP@R", f"{figures['map_at_r']:.1%}", f"of {figures['gallery']:,} photos"),
            *_baseline_tile(material),
            Tile("unseen products", material.evaluation["products"]),
        ]
    to_look_at = [check.name for check in checks if not check.fine]
    if checks:
        note = f"look at: {', '.join(to_look_at).lower()}" if to_look_at else "no sign of collapse"
        value = f"{len(checks) - len(to_look_at)} of {len(checks)}"
        tiles.append(Tile("checks are fine", value, note, alarm=bool(to_look_at)))
    return tiles


def _baseline_tile(material: Material) -> list[Tile]:
    measured: Mapping[str, Mapping[str, Any]] = {
        name: figures[material.task]
        for name, figures in material.baselines.items()
        if figures[material.task] and figures[material.task]["recall_at_1"] is not None
    }
    if not measured:
        return []
    name = max(measured, key=lambda name: measured[name]["recall_at_1"])
    recall = f"{measured[name]['recall_at_1']:.1%}"
    return [Tile("baseline's R@1", recall, name.replace("_", " "))]


def _checks_section(checks: Sequence[Check]) -> Section | None:
    if not checks:
        return None
    blocks: list[Block] = [
        Text(f"{check.name}: {check.found}. {check.reason}", alarm=True)
        for check in checks
        if not check.fine
    ]
    if not blocks:
        blocks = [Text("No sign of collapse, idle batches or starved input.")]
    rows = [
        (
            check.name,
            "✓\u00a0fine" if check.fine else "▲\u00a0look\u00a0here",
            check.found,
            check.reason,
        )
        for check in checks
    ]
    blocks.append(Table(("check", "", "found", "what it means"), rows))
    return Section("Checks", blocks)


def _curves_section(material: Material) -> Section:
    figures = curve_figures(material.curves)
    if not figures:
        text = (
            "The run keeps its weights as they are: there was nothing to log."
            if not material.experiment.steps
            else "No step was logged yet."
        )
        return Section("Training", (Text(text),))
    return Section("Training", (Illustrations(figures),))


def _similarity_section(found: Similarities) -> Section | None:
    if not found.known:
        return None
    cosine, missed, passed = found.threshold()
    pairs = f"{found.positive.sum():,} pairs of one product, {found.negative.sum():,} of different"
    counted = (
        f"The pairs of {found.anchors:,} photos, drawn by a fixed seed, with all {found.photos:,}"
        if found.sampled
        else f"All pairs of {found.photos:,} photos, each counted once"
    )
    return Section(
        "Similarities",
        (
            Illustration(
                similarity_figure(found),
                f"{counted}: {pairs} ones. The dashed line tells them apart best.",
                f"Histograms of cosines; means {found.positive_mean:.2f} for one product and "
                f"{found.negative_mean:.2f} for different ones.",
            ),
            Text(
                f"A threshold of {cosine:.2f} misses {missed:.1%} of the pairs of one product and "
                f"lets {passed:.1%} of the others pass; {found.overlap:.0%} of the two histograms "
                "overlaps, which no threshold can part. Search compares within one query, and may "
                "do well all the same; a scoreThreshold cannot."
            ),
        ),
    )


def _map_section(
    spread: Spectrum, evaluated: Evaluated, read: Callable[[Photo], Image.Image] | None
) -> Section:
    shown = sum(spread.shares[:2])
    return Section(
        "Map",
        (
            Illustration(
                embedding_map(spread, evaluated.photos, read),
                f"The embeddings of {len(evaluated.photos):,} photos on their first two principal "
                f"components, which hold {shown:.0%} of the variance: what lies together looks "
                "alike to the network, what lies apart does not. Dots are photos that have no "
                "room.",
                "A map of the evaluated photos; neighbours on it look alike to the network.",
                wide=True,
            ),
        ),
    )
