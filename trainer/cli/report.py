"""`lookalike report`: a run on one page."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from trainer.cli.options import OnBadPhoto
from trainer.cli.output import print_json
from trainer.progress import console


@dataclass(frozen=True)
class Report:
    """Show a run on one page: recalls, curves, failures, signs of collapse; one HTML file.

    With the catalogue it shows photos, and measures first what was not measured yet.
    """

    run: tyro.conf.Positional[str]
    """The run: a folder or gs://bucket/prefix."""
    catalog: str | None = None
    """Folder, tar, CSV, JSON Lines or Parquet file; without it, what the run holds, no photos."""
    out: Path | None = None
    """The file to write. Default: report.html in the run."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the report's place and its checks as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Write the page, and say what to look at."""
        from trainer.data.catalog import open_catalog
        from trainer.evaluation.report.writing import write_report

        catalog = None if self.catalog is None else open_catalog(self.catalog)
        written = write_report(self.run, catalog, out=self.out, on_bad_photo=self.on_bad_photo)
        if self.json:
            print_json(written)
            return
        for check in written["checks"]:
            if not check["fine"]:
                line = f"▲ {check['name']}: {check['found']}. {check['reason']}"
                console.print(line, highlight=False, markup=False)
        console.print(f"[green]✓[/] {written['report']}", soft_wrap=True, highlight=False)
