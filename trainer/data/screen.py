"""Decode every photo once, before hours of training meet the one that cannot be."""

import csv
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import Image

from function.errors import FunctionError
from function.photo import decode
from function.storage import Storage, open_storage
from trainer.data.problems import refuse
from trainer.data.records import Catalog, Photo
from trainer.progress import console, track

OnBadPhoto = Literal["skip", "fail"]

# Where skipped photos are listed (row, image, reason): a file, or a storage that gets BAD_PHOTOS.
type Report = Storage | Path

BAD_PHOTOS = "bad_photos.csv"
_CSV = "text/csv; charset=utf-8"
_HEADER = b"row,image,reason\n"
# The smallest scale that still reads a JPEG's whole stream, so that damage anywhere is seen.
_SCREENING_SIDE_PIXELS = 32


def screen(
    catalog: Catalog,
    *,
    on_bad_photo: OnBadPhoto = "skip",
    report: Report | None = None,
    workers: int | None = None,
) -> Catalog:
    """Return the catalogue without the photos that are missing or cannot be decoded.

    Args:
        catalog: what to screen.
        on_bad_photo: "skip" drops and counts them on stderr; "fail" raises.
        report: where skipped photos are listed (row, image, reason), if there are any: a file, or
            a storage that gets `bad_photos.csv`. An older list there is replaced or removed.
        workers: threads; None: one per processor.

    Raises:
        CatalogError: a photo is bad and `on_bad_photo` is "fail", or every photo is bad.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        reasons = pool.map(partial(_why_bad, catalog), catalog.photos)
        screened = list(
            zip(
                catalog.photos,
                track(reasons, "Checking photos", len(catalog.photos)),
                strict=True,
            )
        )
    bad = [(photo, reason) for photo, reason in screened if reason is not None]
    lines = [f"{describe_place(photo)}: {reason}" for photo, reason in bad]
    if on_bad_photo == "fail" or len(bad) == len(catalog.photos):
        refuse(catalog.source.location, lines)
    if report is not None:
        _write_report(bad, report)
    if bad:
        listed = "" if report is None else f", listed in {_report_place(report)}"
        console.print(f"{len(bad)} of {len(catalog.photos)} photos are skipped{listed}.")
    return catalog.subset(photo for photo, reason in screened if reason is None)


def read_photo(
    catalog: Catalog, photo: Photo, *, reduce_to: int
) -> tuple[bytes, Image.Image] | str:
    """Read and decode one photo.

    Args:
        catalog: whose photo it is.
        photo: which one.
        reduce_to: as in `function.photo.decode`.

    Returns:
        Its encoded bytes and its picture; where it is missing or cannot be decoded, the reason.
    """
    try:
        data = catalog.read(photo)
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    try:
        return data, decode(data, reduce_to=reduce_to)
    except FunctionError as error:
        return error.message


def _why_bad(catalog: Catalog, photo: Photo) -> str | None:
    found = read_photo(catalog, photo, reduce_to=_SCREENING_SIDE_PIXELS)
    return found if isinstance(found, str) else None


def describe_place(photo: Photo) -> str:
    """Where a photo is listed, for messages: its row, where there are rows, and its path."""
    return f"row {photo.row}: {photo.image}" if photo.row else photo.image


def add_to_report(bad: Sequence[tuple[Photo, str]], report: Report | None) -> None:
    """Count photos on stderr that turned out bad after the screening, and list them with the rest.

    Args:
        bad: each with what is wrong with it.
        report: as for `screen`, which has made or removed the list; None: they are not listed.
    """
    if not bad:
        return
    listed = ""
    if report is not None:
        storage, name = _report_storage(report)
        known = storage.read_versioned(name)
        storage.write(name, (known[0] if known else _HEADER) + _lines(bad), content_type=_CSV)
        listed = f", listed in {_report_place(report)}"
    console.print(f"{len(bad)} photos more are skipped{listed}.")


def _write_report(bad: list[tuple[Photo, str]], report: Report) -> None:
    storage, name = _report_storage(report)
    if bad:
        storage.write(name, _HEADER + _lines(bad), content_type=_CSV)
    else:
        storage.delete(name)


def _lines(bad: Sequence[tuple[Photo, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((photo.row or "", photo.image, reason) for photo, reason in bad)
    return text.getvalue().encode()


def _report_storage(report: Report) -> tuple[Storage, str]:
    if isinstance(report, Path):
        return open_storage(report.parent), report.name
    return report, BAD_PHOTOS


def _report_place(report: Report) -> str:
    return str(report) if isinstance(report, Path) else f"{report.url}/{BAD_PHOTOS}"
