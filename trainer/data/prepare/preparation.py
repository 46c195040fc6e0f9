"""From a source to a prepared folder that is either whole or not there."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trainer.data.prepare.fraction import take_fraction
from trainer.data.prepared import DATASET_INFO, is_prepared, open_prepared
from trainer.data.records import Catalog
from trainer.data.screen import BAD_PHOTOS, OnBadPhoto, screen
from trainer.errors import CatalogError

METADATA = "metadata.json"


@dataclass(frozen=True)
class Preparation:
    """What a prepared folder was made from, and what is in it; kept in its metadata.json."""

    data_set: str
    fraction: float
    source: str
    """What identifies the source: a checksum or fingerprint."""
    photos: int = 0
    products: int = 0
    bad_photos: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise CatalogError(f"Expected a fraction above 0 and up to 1, found {self.fraction}")


def already_prepared(
    out: Path, wanted: Preparation, on_bad_photo: OnBadPhoto
) -> Preparation | None:
    """Return what `out` holds if that is what is wanted; None if nothing is there.

    Raises:
        CatalogError: it holds something else, or files of it are missing; or photos were left out
            of it and `on_bad_photo` is "fail".
    """
    if not is_prepared(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise CatalogError(
                f"{out} exists and is no prepared data set: choose a new or an empty folder"
            )
        return None
    try:
        found = Preparation(**json.loads((out / METADATA).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise CatalogError(
            f"{out} has a {DATASET_INFO}, but no {METADATA} of `lookalike data prepare`: choose "
            "another folder"
        ) from error
    differences = [
        f"{name}: {getattr(found, name)} there, {getattr(wanted, name)} asked"
        for name in ("data_set", "fraction", "source")
        if getattr(found, name) != getattr(wanted, name)
    ]
    if differences:
        raise CatalogError(
            f"{out} holds another preparation ({'; '.join(differences)}): delete it or choose "
            "another folder"
        )
    if found.bad_photos and on_bad_photo == "fail":
        raise CatalogError(
            f"{out} was prepared without {found.bad_photos} photos that could not be read, listed "
            f"in its {BAD_PHOTOS}: mend them, delete the folder, and prepare it again"
        )
    open_prepared(out, str(out))
    return found


def prepare(
    open_source: Callable[[], Catalog],
    out: Path,
    wanted: Preparation,
    *,
    description: str,
    homepage: str = "",
    citation: str = "",
    on_bad_photo: OnBadPhoto = "skip",
) -> Preparation:
    """Write a data set to `out`, which appears when all of it is there.

    A killed call leaves a hidden folder beside `out`, which the next one replaces.

    Args:
        open_source: gives the whole catalogue; called once.
        out: the folder to make.
        wanted: which data set, what part, which source.
        description: a sentence for dataset_info.json; `homepage` and `citation` likewise.
        on_bad_photo: "skip" leaves photos out that cannot be read, and lists them in
            bad_photos.csv; "fail" raises before anything is written.

    Returns:
        What was prepared, counted.

    Raises:
        CatalogError: as `already_prepared` and `screen`; or another process prepares `out`.
    """
    # Seconds to import, and only needed where something is written.
    from trainer.data.prepare.builder import About, write_dataset

    with _workspace(out) as workspace:
        part = take_fraction(open_source(), wanted.fraction)
        screened = screen(part, on_bad_photo=on_bad_photo, report=workspace / BAD_PHOTOS)
        prepared = replace(
            wanted,
            photos=len(screened.photos),
            products=len({photo.product_id for photo in screened.photos} - {""}),
            bad_photos=len(part.photos) - len(screened.photos),
        )
        about = About(wanted.data_set, description, homepage, citation)
        folder = write_dataset(screened, about, asdict(prepared), workspace)
        if prepared.bad_photos:
            (workspace / BAD_PHOTOS).rename(folder / BAD_PHOTOS)
        # An empty folder may stand in its place.
        folder.rename(out)
    return prepared


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, this process's alone; removed in the end."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    workspace = out.with_name(f".{out.name}.preparing")
    workspace.mkdir(exist_ok=True)
    lock = os.open(workspace, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise CatalogError(
            f"{out} is being prepared by another process: wait for it, or choose another folder"
        ) from error
    try:
        for left in workspace.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield workspace
    finally:
        shutil.rmtree(workspace)
        os.close(lock)
