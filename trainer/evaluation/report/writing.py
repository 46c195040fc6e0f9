"""From a run to its report's file."""

from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from function.errors import FunctionError
from function.photo import decode
from function.storage import open_storage
from trainer.data.records import Catalog, Photo
from trainer.data.screen import OnBadPhoto
from trainer.evaluation.report.material import gather
from trainer.evaluation.report.page import report_page
from trainer.evaluation.tasks import file_suffix
from trainer.page import render, thumbnail
from trainer.progress import console
from trainer.training.run import Run

# Pixels of a photo's side: twice what the page shows, for screens of that density.
_THUMBNAIL, _ON_MAP = 200, 110


def write_report(
    run_url: str,
    catalog: Catalog | None = None,
    *,
    out: Path | None = None,
    on_bad_photo: OnBadPhoto = "skip",
) -> dict[str, Any]:
    """Write a run's report: one HTML file that needs nothing else.

    Args:
        run_url: a folder or gs://bucket/prefix.
        catalog: for the photos, and to measure what the run has not; None: what the run holds,
            without photos.
        out: the file; None: report.html in the run, another name for another catalogue than the
            run's own.
        on_bad_photo: as `evaluate`.

    Returns:
        JSON's own types:
        - report: where it lies.
        - checks: name, found, fine and reason of each.

    Raises:
        TrainingError: there is no run; with a catalogue, as `evaluate`.
        CatalogError: a photo cannot be read.
    """
    material = gather(run_url, catalog, on_bad_photo=on_bad_photo)
    run = Run(run_url)

    @cache
    def small(photo: Photo) -> str:
        try:
            return "" if catalog is None else thumbnail(catalog.read(photo), _THUMBNAIL)
        except (FunctionError, OSError):
            return ""  # gone since it was evaluated: its place stays empty

    def read(photo: Photo) -> Image.Image:
        try:
            data = b"" if catalog is None else catalog.read(photo)
            return decode(data, reduce_to=_ON_MAP)
        except (FunctionError, OSError):
            return Image.new("RGB", (_ON_MAP, _ON_MAP), "white")

    with console.status("Drawing the report…"):
        page, checks = report_page(material, small, None if catalog is None else read)
        html = render(page).encode()
    if out is None:
        suffix = "" if catalog is None else file_suffix(run, catalog)
        storage, name = run.storage, f"report{suffix}.html"
    else:
        storage, name = open_storage(out.parent), out.name
    storage.write(name, html, content_type="text/html; charset=utf-8")
    return {"report": f"{storage.url}/{name}", "checks": [vars(check) for check in checks]}
