"""The current release, with what changed in the catalogue: only that is embedded.

What is proportional to the change is what takes the time: reading, embedding and storing photos.
The tree of a large index is built anew, as are the catalogue and the groups of copies.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from function.embedder import open_embedder
from function.errors import ReleaseError
from function.file_catalog import open_catalog
from function.manifest import (
    CATALOG,
    CHECKPOINT,
    EMBEDDER_INT8,
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    GOLDEN,
    Manifest,
    Precision,
)
from function.release import LocalRelease, fetch_release
from trainer.data.changes import Changes
from trainer.data.problems import refuse
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto, screen
from trainer.errors import PublishError
from trainer.release.assembly import assemble_release
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.contents import Contents, products_of
from trainer.release.embedding import SERVING_ENGINE
from trainer.release.kept import Kept, load_kept
from trainer.release.merging import merged, merged_order, public_base, still_answerable
from trainer.release.program import Program
from trainer.release.publication import build_and_publish, open_root
from trainer.release.registry.inventory import all_images
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.cluster import Cluster
from trainer.release.shards.planning import OpenProgram
from trainer.release.tuning import grown

# What an update takes over unchanged: files, or folders.
_PROGRAM = (EMBEDDER_ONNX, EMBEDDER_INT8, EMBEDDER_STABLEHLO, CHECKPOINT, GOLDEN)

# Of so much more or fewer rows, as a share, the index's setting is chosen anew.
_RETUNED_SHARE = 0.1


@dataclass(frozen=True)
class Updated:
    """What an update did.

    Attributes:
        release_id: the new release, now current.
        base: the release that it took the rest from.
        added, changed, removed: products.
        absent: products to remove that were not there.
        embedded: photos.
        kept: photos whose vectors were taken over.
    """

    release_id: str
    base: str
    added: int
    changed: int
    removed: int
    absent: int
    embedded: int
    kept: int


def update(
    changes: Changes,
    root: str,
    *,
    image_base_url: str | None = None,
    on_bad_photo: OnBadPhoto = "skip",
    recall: float | None = None,
    false_match_rate: float | None = None,
    retune: bool = False,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Updated:
    """Publish the current release of a root anew, with changed products.

    Program, weights, golden photos and evaluation are the current release's, and so is the index's
    setting: its recall is measured on the new rows, and where it falls short, or their number
    differs by more than a tenth, the index is tuned. Scores are calibrated anew, by the queries
    that calibrated the release, as far as their products are still there.

    Args:
        changes: what differs from the current release's catalogue.
        root: a folder or gs://bucket/prefix.
        image_base_url: where the root's images/ is public; None: where it was.
        on_bad_photo: "skip" leaves out photos that cannot be read; "fail" raises.
        recall, false_match_rate: as for `publish`; None: as for the current release.
        retune: choose the index's setting anew in any case.
        workers: threads that read, decode and embed; None: one per processor.
        cluster: what embeds the photos; None: this process.

    Raises:
        CatalogError: changes that do not fit the release, or unreadable photos.
        PublishError: no release to update, one that was published without what this needs, nothing
            left to find, or another publisher that was faster.
        ReleaseError: the current release is damaged.
        StorageError: the root cannot be used.
    """
    storage, pointer = open_root(root)
    if pointer is None:
        raise PublishError(
            f"{storage.url}: expected a release to update; found none. Publish one: "
            f"lookalike publish --run RUN --catalog CATALOG --root {root}"
        )
    with TemporaryDirectory(prefix="lookalike-base-") as scratch:
        base = fetch_release(storage, pointer.release_id, Path(scratch), engine=None)
        if base.manifest.is_in_database:
            raise PublishError(
                f"Release {pointer.release_id} lies in a database: expected one in files, which an "
                "update builds on. Publish in full: leave out --update."
            )
        before = _read(base)
        present = {product.id for product in before.contents.products}
        _check(changes, present)
        if changes.catalog.photos:
            changes = replace(changes, catalog=_screened(changes, on_bad_photo))
        base_url = image_base_url or public_base(before.contents.images)
        opened = open_embedder(base.folder, SERVING_ENGINE, precision=_precision(base.manifest))
        photos = changes.catalog.photos
        embedder = CatalogEmbedder(storage, cluster=cluster, threads=workers)
        program = OpenProgram(base.folder, base.manifest.model, opened)
        found = embedder.embed(changes.catalog, program)
        fresh = Contents.of(photos, found.embedded, base_url)
        order = merged_order(before.contents.images, fresh.images, set(changes.removed))
        if not len(order):
            raise PublishError(f"{storage.url}: expected products to remain; all are removed.")
        texts = products_of(list(changes.texts.values()))
        contents = merged(before.contents, fresh, texts, order, base_url)
        manifest = base.manifest
        resized = abs(len(order) / manifest.counts.images - 1) > _RETUNED_SHARE
        calibration = manifest.calibration
        rate = false_match_rate or (
            calibration.target_false_match_rate if calibration else DEFAULT_FALSE_MATCH_RATE
        )

        def build(folder: Path) -> LocalRelease:
            _take_over(base, folder)
            try:
                return assemble_release(
                    Program(manifest.model, manifest.golden, manifest.int8),
                    contents,
                    folder,
                    evaluation=manifest.evaluation,
                    recall=recall or manifest.index.target_recall_at_10,
                    queries=before.kept.customers,
                    answerable=still_answerable(before.kept.answerable, order, contents),
                    false_match_rate=rate,
                    setting=(
                        None
                        if retune or resized
                        else grown(manifest.index.chosen, manifest.index.rows, len(order))
                    ),
                    base=manifest.release_id,
                )
            except ReleaseError as error:
                raise PublishError(f"The release would not serve. {error.message}") from error

        release_id = build_and_publish(storage, pointer, build)
        embedder.discard()
    left = {product.id for product in contents.products}
    altered = {*changes.texts, *(photo.product_id for photo in photos)}
    return Updated(
        release_id,
        manifest.release_id,
        added=len(left - present),
        changed=len(altered & present),
        removed=len(present - left),
        absent=len(set(changes.removed) - present),
        embedded=len(photos),
        kept=int((order < len(before.contents.images)).sum()),
    )


@dataclass(frozen=True, eq=False)
class _Before:
    contents: Contents
    kept: Kept


def _read(base: LocalRelease) -> _Before:
    kept = load_kept(base.folder)
    with closing(open_catalog(base.folder / CATALOG)) as catalog:
        listed = catalog.products(range(catalog.counts.products))
        contents = Contents(
            kept.vectors, all_images(catalog), [product for product, _ in listed], kept.signatures
        )
    return _Before(contents, kept)


def _check(changes: Changes, present: set[str]) -> None:
    expected = {"add": "a new product, found one of the release", "change": "a known product"}
    problems = []
    for name, kind in changes.demanded.items():
        wrong = (kind == "add" and name in present) or (
            name not in present and (kind == "change" or name in changes.texts)
        )
        if wrong:
            what = expected["add"] if name in present else f"{expected['change']}, found none"
            problems.append(f"row {changes.rows[name]}: product {name!r}: expected {what}")
    refuse(changes.catalog.source.location, problems)


def _screened(changes: Changes, on_bad_photo: OnBadPhoto) -> Catalog:
    screened = screen(changes.catalog, on_bad_photo=on_bad_photo)
    left = {photo.product_id for photo in screened.photos}
    lost = {photo.product_id for photo in changes.catalog.photos} - left
    refuse(
        changes.catalog.source.location,
        [
            f"row {changes.rows[name]}: product {name!r}: none of its photos can be read"
            for name in changes.rows
            if name in lost
        ],
    )
    return screened


def _precision(manifest: Manifest) -> Precision:
    if manifest.int8 is None or not manifest.int8.chosen:
        return "float"
    if manifest.precision_here(SERVING_ENGINE) != "int8":
        raise PublishError(
            f"Release {manifest.release_id} has vectors of an int8 program: expected a processor "
            "with instructions for it; this one has none. Update on another machine."
        )
    return "int8"


def _take_over(base: LocalRelease, folder: Path) -> None:
    """Link what is unchanged: it was verified, and is read once more when it is uploaded."""
    for name in base.manifest.files:
        if name.partition("/")[0] in _PROGRAM:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(base.folder.absolute() / name)
