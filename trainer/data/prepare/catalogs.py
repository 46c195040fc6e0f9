"""Any catalogue, prepared as the data sets of the field are."""

from pathlib import Path

from trainer.data.catalog import open_catalog
from trainer.data.prepare.preparation import Preparation, already_prepared, prepare
from trainer.data.screen import OnBadPhoto


def prepare_catalog(
    source: Path, out: Path, *, fraction: float = 1.0, on_bad_photo: OnBadPhoto = "skip"
) -> tuple[Preparation, bool]:
    """Prepare what `open_catalog` reads, unless `out` holds it already.

    The fingerprint stays the same as long as no photo is left out.

    Args:
        source: the catalogue.
        out: the folder to make.
        fraction: as in `take_fraction`.
        on_bad_photo: as in `prepare`.

    Returns:
        What is prepared, and whether it already was.

    Raises:
        CatalogError: as `open_catalog` and `prepare`; or the catalogue changed since then.
    """
    catalog = open_catalog(source)
    wanted = Preparation("catalog", fraction, catalog.fingerprint)
    if found := already_prepared(out, wanted, on_bad_photo):
        return found, True
    prepared = prepare(
        lambda: catalog,
        out,
        wanted,
        description=f"The catalogue {catalog.name}.",
        on_bad_photo=on_bad_photo,
    )
    return prepared, False
