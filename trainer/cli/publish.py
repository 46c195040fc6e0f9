"""`lookalike publish`: from a run and a catalogue to what functions serve."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from trainer.cli.options import OnBadPhoto
from trainer.cli.output import print_json
from trainer.errors import LookalikeError
from trainer.progress import console

if TYPE_CHECKING:
    from function.manifest import IndexSetting


@dataclass(frozen=True)
class Publish:
    """Make a release of a run and a catalogue, and point the function at it."""

    run: str
    """The run whose network serves: a folder or gs://bucket/prefix."""
    catalog: str
    """The products to find: folder, tar, CSV, JSON Lines or Parquet file."""
    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    image_base_url: str | None = None
    """Where <root>/images is public, as a CDN; else the function serves the photos itself."""
    precision: Literal["auto", "float", "int8"] = "auto"
    """What serves: int8 if it is measured to gain much and lose little (auto), always, or never."""
    recall: float = 0.99
    """Share of the ten nearest photos that the index is tuned to find, above 0, at most 1."""
    false_match_rate: float = 0.05
    """Of photos of products that are not in the catalogue, the share that may get a confident
    match, above 0, below 1; the rest get noConfidentMatch."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the release as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Publish and print the release's id, and what int8 and the index were measured to do."""
        from function.release import read_manifest, release_prefix
        from function.storage import open_storage
        from trainer.data.catalog import open_catalog
        from trainer.release.calibration.figure import CALIBRATION
        from trainer.release.from_run import publish_run
        from trainer.release.tuning_figure import TUNING

        if not 0 < self.recall <= 1:
            raise LookalikeError(f"--recall: expected above 0, at most 1; found {self.recall}.")
        if not 0 < self.false_match_rate < 1:
            found = self.false_match_rate
            raise LookalikeError(f"--false-match-rate: expected above 0, below 1; found {found}.")
        release_id = publish_run(
            self.run,
            open_catalog(self.catalog),
            self.root,
            image_base_url=self.image_base_url,
            precision=self.precision,
            on_bad_photo=self.on_bad_photo,
            recall=self.recall,
            false_match_rate=self.false_match_rate,
        )
        storage = open_storage(self.root)
        manifest = read_manifest(storage, release_id)
        index, int8, calibration = manifest.index, manifest.int8, manifest.calibration
        if self.json:
            measured = asdict(int8) if int8 is not None else None
            print_json(
                {
                    "release_id": release_id,
                    "root": self.root,
                    "int8": measured,
                    "index": asdict(index.chosen),
                    "calibration": asdict(calibration) if calibration is not None else None,
                }
            )
        else:
            folder = storage.child(release_prefix(release_id)).url
            if int8 is not None:
                console.print(
                    f"int8 {'serves' if int8.chosen else 'was not worth it'}: "
                    f"{int8.latency_ratio:.2f} × the time of float; recall@1 "
                    f"{100 * int8.recall_at_1_int8:.1f} %, float {100 * int8.recall_at_1:.1f} %, "
                    f"a float query to int8 rows {100 * int8.recall_at_1_mixed:.1f} % "
                    f"({int8.queries} queries from the catalogue)"
                )
            console.print(
                f"Index {_described(index.chosen)}: recall@10 {index.recall_at_10:.3f} in "
                f"{index.chosen.ms:.2f} ms a query; what else was measured: "
                f"{folder}/{TUNING}",
                soft_wrap=True,
            )
            if calibration is not None:
                whose = "customers'" if calibration.task == "query_to_catalog" else "its own"
                console.print(
                    f"Scores calibrated ({calibration.method}) with {calibration.queries} of "
                    f"{whose} photos of {calibration.products} unseen products: probabilities are "
                    f"off by {100 * calibration.expected_calibration_error:.1f} % on average; from "
                    f"{calibration.score_threshold:.3f} a match is confident, for "
                    f"{100 * calibration.false_match_rate:.1f} % of photos of other products and "
                    f"{100 * (1 - calibration.false_non_match_rate):.1f} % of those of the "
                    f"catalogue's: {folder}/{CALIBRATION}",
                    soft_wrap=True,
                )
            console.print(f"[green]✓[/] Release {release_id} is current in {self.root}")


def _described(setting: "IndexSetting") -> str:
    if setting.kind == "exact":
        return f"exact, {setting.megabytes:,.1f} MB"
    return (
        f"a tree, {setting.leaves_to_search} of {setting.leaves} leaves read, {setting.reorder} "
        f"reordered in {setting.row_type}, {setting.megabytes:,.1f} MB"
    )
