"""The calibration of a release's folder, and its picture in it."""

from contextlib import closing
from pathlib import Path

from function.calibration import Calibration
from function.catalog import open_catalog
from function.index import open_index
from function.manifest import CATALOG, INDEX, IndexKind
from trainer.release.calibration.figure import CALIBRATION, calibration_png
from trainer.release.calibration.fitting import calibrate
from trainer.release.questions import Answerable


def calibrate_release(
    folder: Path, kind: IndexKind, answerable: Answerable, false_match_rate: float
) -> Calibration | None:
    """Calibrate scores as the function computes them, and write the picture.

    Args:
        folder: holds the index and the catalogue.
        kind: of the index.
        answerable: queries of unseen products.
        false_match_rate: as for `calibrate`.

    Returns:
        None, after a line that says why, where there are too few products.
    """
    index = open_index(folder / INDEX, kind)
    with closing(open_catalog(folder / CATALOG)) as products:
        calibrated = calibrate(
            index,
            products,
            answerable.queries,
            answerable.vectors,
            false_match_rate=false_match_rate,
        )
    if calibrated is None:
        return None
    (folder / CALIBRATION).write_bytes(calibration_png(calibrated))
    return calibrated.calibration
