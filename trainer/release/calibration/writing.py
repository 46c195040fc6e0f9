"""The calibration of a release, and its picture in the release's folder."""

from pathlib import Path
from typing import Any

from function.calibration import Calibration
from function.catalog import Catalog
from function.vector_index import Searchable
from trainer.release.calibration.figure import CALIBRATION, calibration_png
from trainer.release.calibration.fitting import calibrate
from trainer.release.questions import Answerable


def calibrate_release(
    index: Searchable[Any],
    catalog: Catalog,
    answerable: Answerable,
    false_match_rate: float,
    folder: Path,
) -> Calibration | None:
    """Calibrate scores as the function computes them, and write the picture.

    Args:
        index, catalog: the release's.
        answerable: queries of unseen products.
        false_match_rate: as for `calibrate`.
        folder: the release's.

    Returns:
        None, after a line that says why, where there are too few products.
    """
    calibrated = calibrate(
        index,
        catalog,
        answerable.queries,
        answerable.vectors,
        false_match_rate=false_match_rate,
    )
    if calibrated is None:
        return None
    (folder / CALIBRATION).write_bytes(calibration_png(calibrated))
    return calibrated.calibration
