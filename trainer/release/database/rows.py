"""A release's rows in a database, as `trainer.release.rows` puts them somewhere."""

from collections.abc import Iterable, Sized
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from function.errors import DeadlineExceeded, Unavailable
from function.loading import open_release
from function.release import LocalRelease
from trainer.errors import DatabaseError, PublishError
from trainer.release.calibration.writing import calibrate_release
from trainer.release.contents import Contents
from trainer.release.database.connection import Database
from trainer.release.database.inspection import stored_names
from trainer.release.database.release import LoadedRelease, load_release
from trainer.release.database.tuning import Neighbours, tune
from trainer.release.embedding import SERVING_ENGINE
from trainer.release.indexing import BuiltIndex
from trainer.release.rows import Asked, Placed, Rows


class DatabaseRows(Rows):
    """Rows in PostgreSQL, until its context is left.

    What was put there and not shown then goes, as soon as somebody loads another.

    Args:
        database: takes them.
        options: of the vectors' index, as "m = 24, ef_construction = 128"; "": the server's.
    """

    def __init__(self, database: Database, *, options: str = "") -> None:
        self._database = database
        self._options = options
        self._held = ExitStack()
        self._loaded: LoadedRelease | None = None

    def __enter__(self) -> "DatabaseRows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._held.__exit__(kind, error, trace)

    def put(self, chunks: Iterable[Contents], folder: Path, asked: Asked) -> Placed:
        first = next(iter(chunks), None)
        if first is None:
            raise PublishError("Expected photos to load; found none.")
        neighbours = Neighbours.of(first.vectors, asked.queries)
        loaded = self._held.enter_context(
            load_release(
                self._database,
                chunks,
                dim=first.vectors.shape[1],
                rows=len(first.images) * (len(chunks) if isinstance(chunks, Sized) else 1),
                witness=neighbours.see,
                options=self._options,
            )
        )
        self._loaded = loaded
        try:
            curve = tune(loaded, neighbours, asked.recall)
            built = BuiltIndex(asked.recall, curve[-1], tuple(curve))
            calibration = None
            if asked.answerable is not None:
                calibration = calibrate_release(
                    loaded.index(built.chosen),
                    loaded.catalog(),
                    asked.answerable,
                    asked.false_match_rate,
                    folder,
                )
        except (Unavailable, DeadlineExceeded) as error:
            raise DatabaseError(f"{self._database.shown}: {error.message}") from error
        return Placed(built, loaded.counts, calibration, loaded.index_id)

    def check(self, release: LocalRelease) -> None:
        pass

    def photos(self, release: LocalRelease) -> set[str]:
        loaded = self._there()
        with self._database.telling(loaded.connection):
            return stored_names(loaded.connection, loaded.name)

    def show(self, release: LocalRelease) -> None:
        loaded = self._there()
        loaded.put_in_place(release.manifest.release_id)
        open_release(release, engine=SERVING_ENGINE, database=loaded.reading).catalog.close()

    def _there(self) -> LoadedRelease:
        if self._loaded is None:
            raise ValueError("Nothing was put into the database yet.")
        return self._loaded
