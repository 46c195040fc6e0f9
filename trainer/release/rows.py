"""Where a release's rows go: the index and the catalogue over what is to be found."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from function.calibration import Calibration
from function.file_catalog import open_catalog, write_catalog
from function.file_index import FileIndex
from function.index import open_index
from function.loading import open_release
from function.manifest import CATALOG, INDEX, Counts, IndexSetting
from function.release import LocalRelease
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.calibration.writing import calibrate_release
from trainer.release.contents import Contents
from trainer.release.copies import same_pictures
from trainer.release.embedding import SERVING_ENGINE
from trainer.release.indexing import DEFAULT_RECALL, BuiltIndex, build_index
from trainer.release.kept import Kept, save_kept
from trainer.release.questions import Answerable
from trainer.release.registry.inventory import all_images, stored_photos
from trainer.release.tuning import Queries


@dataclass(frozen=True)
class Asked:
    """What an index is to reach, and what it and its scores are measured with.

    Attributes:
        recall, queries, setting: as for `build_index`.
        answerable: queries that calibrate the scores; None: they are not calibrated.
        false_match_rate: as for `calibrate`.
    """

    recall: float = DEFAULT_RECALL
    queries: Queries | None = None
    setting: IndexSetting | None = None
    answerable: Answerable | None = None
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE


@dataclass(frozen=True)
class Placed:
    """Rows that were put somewhere.

    Attributes:
        built: the index.
        counts: of products and photos.
        calibration: of the scores; None where there is none.
        index_id: of the index; "": that of its files.
    """

    built: BuiltIndex
    counts: Counts
    calibration: Calibration | None
    index_id: str = ""


@runtime_checkable
class Rows(Protocol):
    """A place for the rows of a release that is made."""

    def put(self, chunks: Iterable[Contents], folder: Path, asked: Asked) -> Placed:
        """Put them there.

        Args:
            chunks: of what is to be found, in the order of rows; may be gone through again.
            folder: the release's, for what belongs into its files.
            asked: what the index is to reach.

        Raises:
            DatabaseError: a database does not take them.
        """

    def check(self, release: LocalRelease) -> None:
        """Try the release as a function would, where that can be done before it is on storage.

        Raises:
            ReleaseError: it would not serve.
        """

    def photos(self, release: LocalRelease) -> set[str]:
        """Return the names, below the root's images/, of what the rows need there."""

    def show(self, release: LocalRelease) -> None:
        """Let functions find the rows; called when all files are on storage but the manifest.

        Raises:
            ReleaseError: it would not serve.
            DatabaseError: the database is gone.
        """


class FileRows(Rows):
    """Rows in the release's own files: all in one chunk, as memory holds them anyway."""

    def put(self, chunks: Iterable[Contents], folder: Path, asked: Asked) -> Placed:
        (contents,) = chunks
        (folder / INDEX).mkdir()
        built = build_index(
            contents.vectors,
            folder / INDEX,
            recall=asked.recall,
            queries=asked.queries,
            setting=asked.setting,
        )
        pictures = None if contents.signatures is None else same_pictures(contents.signatures)
        counts = write_catalog(folder / CATALOG, contents.products, contents.images, pictures)
        calibration = None
        if asked.answerable is not None:
            index = open_index(folder / INDEX, built.chosen.kind)
            with closing(open_catalog(folder / CATALOG)) as catalog:
                calibration = calibrate_release(
                    FileIndex(index, catalog),
                    catalog,
                    asked.answerable,
                    asked.false_match_rate,
                    folder,
                )
        if contents.signatures is not None:
            kept = Kept(contents.vectors, contents.signatures, asked.queries, asked.answerable)
            save_kept(kept, folder, row_type=built.chosen.row_type)
        return Placed(built, counts, calibration)

    def check(self, release: LocalRelease) -> None:
        open_release(release, engine=SERVING_ENGINE).catalog.close()

    def photos(self, release: LocalRelease) -> set[str]:
        with closing(open_catalog(release.folder / CATALOG)) as catalog:
            return stored_photos(all_images(catalog))

    def show(self, release: LocalRelease) -> None:
        pass
