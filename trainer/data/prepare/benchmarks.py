"""The data sets of the field that can be prepared, and how their files get here."""

from pathlib import Path

from trainer.data.download import check_md5, download
from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.cars import CARS
from trainer.data.prepare.cub import CUB
from trainer.data.prepare.inshop import INSHOP
from trainer.data.prepare.preparation import Preparation, already_prepared, prepare
from trainer.data.prepare.sop import SOP
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto
from trainer.errors import CatalogError

BENCHMARKS = {benchmark.name: benchmark for benchmark in (SOP, INSHOP, CUB, CARS)}


def prepare_benchmark(
    benchmark: Benchmark,
    out: Path,
    *,
    source: Path | None,
    fetch: bool = False,
    fraction: float = 1.0,
    on_bad_photo: OnBadPhoto = "skip",
) -> tuple[Preparation, bool]:
    """Prepare a published data set, unless `out` holds it already.

    Args:
        benchmark: which.
        out: the folder to make.
        source: its archive or its extracted folder; with `fetch`, where to keep the archive (None:
            beside `out`).
        fetch: download the archive, unless `source` is there.
        fraction: as in `take_fraction`.
        on_bad_photo: as in `prepare`.

    Returns:
        What is prepared, and whether it already was.

    Raises:
        CatalogError: as `prepare`; or the source is missing, or not what was published.
    """
    # Every copy that passes the checks is the same: no source needs to be at hand to know that.
    wanted = Preparation(benchmark.name, fraction, benchmark.md5 or "official split")
    if found := already_prepared(out, wanted, on_bad_photo):
        return found, True

    def open_source() -> Catalog:
        path = _fetched(benchmark, source, out) if fetch else source
        if path is None:
            raise CatalogError(_no_source(benchmark))
        _check_files(benchmark, path)
        return benchmark.open(path)

    prepared = prepare(
        open_source,
        out,
        wanted,
        description=f"{benchmark.title}. {benchmark.citation}.",
        homepage=benchmark.homepage,
        citation=benchmark.citation,
        on_bad_photo=on_bad_photo,
    )
    return prepared, False


def _fetched(benchmark: Benchmark, source: Path | None, out: Path) -> Path:
    """Return the archive, downloaded and checked if it is not there."""
    if not benchmark.url:
        raise CatalogError(
            f"{benchmark.title} cannot be downloaded by a program: get it by hand from "
            f"{benchmark.homepage}, then name it with --source"
        )
    path = out.resolve().with_name(benchmark.archive_name) if source is None else source
    if not path.exists():
        partial = download(benchmark.url, path)
        try:
            if benchmark.md5:
                check_md5(partial, benchmark.md5)
        except CatalogError:
            # Going on with it would only end here again.
            partial.unlink()
            raise
        partial.rename(path)
    return path


def _check_files(benchmark: Benchmark, path: Path) -> None:
    """Compare what has a published checksum with it."""
    if path.is_file():
        if benchmark.md5:
            check_md5(path, benchmark.md5)
        return
    for name, md5 in benchmark.beside.items():
        if md5 and (path / name).is_file():
            check_md5(path / name, md5)


def _no_source(benchmark: Benchmark) -> str:
    how = "add --download" if benchmark.url else f"get it from {benchmark.homepage}"
    return (
        f"Expected --source: the archive or the extracted folder of {benchmark.title}. If you "
        f"have none, {how}"
    )
