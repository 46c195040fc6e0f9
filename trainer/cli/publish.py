"""`lookalike publish`: from a run and a catalogue to what functions serve."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainer.cli.options import OnBadPhoto
from trainer.cli.output import print_json
from trainer.errors import LookalikeError
from trainer.progress import console

if TYPE_CHECKING:
    from function.manifest import IndexSetting
    from trainer.release.database.rows import DatabaseRows
    from trainer.release.shards.cluster import Cluster


@dataclass(frozen=True)
class Publish:
    """Make a release of a run and a catalogue, and point the function at it.

    With --update in place of both, the current release is made anew with what changed in its
    catalogue: network, golden photos and index setting stay, only new photos are embedded, and
    recall and calibration are measured on the new rows.
    """

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    run: str | None = None
    """The run whose network serves: a folder or gs://bucket/prefix."""
    catalog: str | None = None
    """The products to find: folder, tar, CSV, JSON Lines or Parquet file; all but tars also on
    gs://."""
    update: str | None = None
    """A listing of changed products, with the columns of a catalogue and one more, `change`: add,
    change, remove, or nothing for add or change. The rows of a product are all of its photos; one
    row without an image keeps those it had; to remove it, its id is enough."""
    image_base_url: str | None = None
    """Where <root>/images is public, as a CDN; else the function serves the photos itself. An
    update keeps what was said before."""
    precision: Literal["auto", "float", "int8"] = "auto"
    """What serves: int8 if it is measured to gain much and lose little (auto), always, or never."""
    recall: float | None = None
    """Share of the ten nearest photos that the index is tuned to find, above 0, at most 1: 0.99;
    of an update, what the release was tuned to."""
    retune: bool = False
    """Of an update: choose the index's setting anew. That is done in any case where the number of
    photos changed by more than a tenth, or the recall is not reached."""
    false_match_rate: float | None = None
    """Of photos of products that are not in the catalogue, the share that may get a confident
    match, above 0, below 1; the rest get noConfidentMatch: 0.05; of an update, what the release was
    calibrated for."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    runner: Literal["local", "ray"] = "local"
    """What embeds the photos: this machine, or a Ray cluster that it is a node of."""
    ray_address: str | None = None
    """The cluster's, as HOST:6379; else RAY_ADDRESS, or the one that this machine is in already."""
    ray_workers: int | None = None
    """At most so many at once, each with a processor; else as many as the cluster has, but one."""
    index: str | None = None
    """Where index and product data go instead of the release's files: postgresql://user@host/shop,
    or several hosts of which one takes writes. A password is better kept in ~/.pgpass. A Parquet
    listing of more than a million photos, on this machine's disk, is walked through, never held."""
    json: bool = False
    """Print the release as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Publish and print the release's id, and what int8 and the index were measured to do."""
        if self.recall is not None and not 0 < self.recall <= 1:
            raise LookalikeError(f"--recall: expected above 0, at most 1; found {self.recall}.")
        if self.false_match_rate is not None and not 0 < self.false_match_rate < 1:
            found = self.false_match_rate
            raise LookalikeError(f"--false-match-rate: expected above 0, below 1; found {found}.")
        if self.runner != "ray" and (self.ray_address or self.ray_workers is not None):
            raise LookalikeError("--ray-address and --ray-workers are for --runner ray.")
        if self.ray_workers is not None and self.ray_workers < 1:
            raise LookalikeError(f"--ray-workers: expected 1 or more; found {self.ray_workers}.")
        if self.update is not None:
            self._update(self.update)
        else:
            self._publish()

    def _publish(self) -> None:
        from trainer.data.large import is_large

        if self.run is None or self.catalog is None:
            raise LookalikeError("Expected --run and --catalog, or --update; found neither.")
        if self.retune:
            raise LookalikeError("--retune is for --update: a full publication tunes the index.")
        cluster = self._cluster()
        with ExitStack() as stack:
            # Before anything is read.
            rows = stack.enter_context(_database_rows(self.index)) if self.index else None
            if rows is not None and is_large(self.catalog):
                release_id = self._publish_large(self.run, self.catalog, rows, cluster)
            else:
                release_id = self._publish_held(self.run, self.catalog, rows, cluster)
        tell_published(self.root, release_id, as_json=self.json)

    def _publish_held(
        self, run: str, catalog: str, rows: "DatabaseRows | None", cluster: "Cluster | None"
    ) -> str:
        from trainer.data.catalog import open_catalog
        from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
        from trainer.release.from_run import publish_run
        from trainer.release.indexing import DEFAULT_RECALL

        return publish_run(
            run,
            open_catalog(catalog),
            self.root,
            image_base_url=self.image_base_url,
            precision=self.precision,
            on_bad_photo=self.on_bad_photo,
            recall=self.recall or DEFAULT_RECALL,
            false_match_rate=self.false_match_rate or DEFAULT_FALSE_MATCH_RATE,
            cluster=cluster,
            rows=rows,
        )

    def _publish_large(
        self, run: str, catalog: str, rows: "DatabaseRows", cluster: "Cluster | None"
    ) -> str:
        from trainer.data.large import MOST_HELD_ROWS, open_large
        from trainer.release.indexing import DEFAULT_RECALL
        from trainer.release.large import publish_large

        if self.false_match_rate is not None:
            raise LookalikeError(
                f"--false-match-rate: the scores of a catalogue of more than {MOST_HELD_ROWS:,} "
                "photos are not calibrated: leave it out."
            )
        return publish_large(
            run,
            open_large(catalog),
            self.root,
            rows=rows,
            image_base_url=self.image_base_url,
            precision=self.precision,
            on_bad_photo=self.on_bad_photo,
            recall=self.recall or DEFAULT_RECALL,
            cluster=cluster,
        )

    def _cluster(self) -> "Cluster | None":
        from trainer.extras import require
        from trainer.release.shards.cluster import PURPOSE, Cluster

        if self.runner == "local":
            return None
        # Before anything is read.
        require("ray", "ray", PURPOSE)
        return Cluster(self.ray_address, self.ray_workers)

    def _update(self, changes: str) -> None:
        if self.index is not None:
            raise LookalikeError(
                "--update is for releases in files; found --index besides. Releases in a database "
                "are published in full: leave out --update."
            )
        if self.run is not None or self.catalog is not None:
            raise LookalikeError(
                "--update keeps the current release's network and takes changed products alone; "
                "found --run or --catalog besides. For another network publish in full: leave out "
                "--update."
            )
        if self.precision != "auto":
            raise LookalikeError(
                "--update keeps the current release's program; found --precision besides. For "
                "another program publish in full."
            )
        from trainer.data.changes import open_changes
        from trainer.release.update import update

        done = update(
            open_changes(changes),
            self.root,
            image_base_url=self.image_base_url,
            on_bad_photo=self.on_bad_photo,
            recall=self.recall,
            false_match_rate=self.false_match_rate,
            retune=self.retune,
            cluster=self._cluster(),
        )
        if not self.json:
            gone = f" ({done.absent} to remove were not there)" if done.absent else ""
            console.print(
                f"{done.added:,} products added, {done.changed:,} changed, {done.removed:,} "
                f"removed{gone}; {done.embedded:,} photos embedded, {done.kept:,} kept as in "
                f"{done.base}",
                soft_wrap=True,
                highlight=False,
            )
        told = {name: item for name, item in asdict(done).items() if name != "release_id"}
        tell_published(self.root, done.release_id, as_json=self.json, update=told)


def _database_rows(address: str) -> "DatabaseRows":
    """Check that there is a database for the rows."""
    from trainer.release.database.connection import database_at

    database = database_at(address)
    from trainer.release.database.release import check_database
    from trainer.release.database.rows import DatabaseRows

    check_database(database)
    return DatabaseRows(database)


def tell_published(
    root: str, release_id: str, *, as_json: bool, update: Mapping[str, Any] | None = None
) -> None:
    """Print what a release was measured to do, for people or as JSON."""
    from function.release import read_manifest, release_prefix
    from function.storage import open_storage
    from trainer.release.calibration.figure import CALIBRATION
    from trainer.release.tuning_figure import TUNING

    storage = open_storage(root)
    manifest = read_manifest(storage, release_id)
    index, int8, calibration = manifest.index, manifest.int8, manifest.calibration
    if as_json:
        told: dict[str, Any] = {
            "release_id": release_id,
            "root": root,
            "int8": asdict(int8) if int8 is not None else None,
            "index": asdict(index.chosen),
            "calibration": asdict(calibration) if calibration is not None else None,
        }
        print_json(told if update is None else told | {"update": update})
        return
    folder = storage.child(release_prefix(release_id)).url
    if int8 is not None and update is None:
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
    console.print(f"[green]✓[/] Release {release_id} is current in {root}")


def _described(setting: "IndexSetting") -> str:
    if setting.kind == "exact":
        return f"exact, {setting.megabytes:,.1f} MB"
    if setting.kind == "pgvector":
        return (
            f"in PostgreSQL, {setting.ef_search or 'as many as it chooses'} candidates kept, "
            f"{setting.megabytes:,.1f} MB there"
        )
    return (
        f"a tree of {setting.tree_dim} numbers a row, {setting.leaves_to_search} of "
        f"{setting.leaves} leaves read, {setting.reorder} "
        f"reordered in {setting.row_type}, {setting.megabytes:,.1f} MB"
    )
