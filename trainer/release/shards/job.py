"""A job on storage: its plan, and which of its shards are done."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from function.manifest import Precision
from function.storage import NotFoundInStorage, Storage
from trainer.errors import PublishError
from trainer.release.identity import ID_DIGITS

EMBEDDINGS = "embeddings"
# Below a job: the serving program, where workers fetch it.
PROGRAM = "program"
# Of the files of a job and of what is in them. Jobs of another one are not gone on with.
SCHEMA_VERSION = 1

# Photos: so many are embedded anew where a worker ends at the worst moment, a minute's work of two
# cores; a billion make half a million shards, whose markers can still be listed.
ROWS_PER_SHARD = 2048

# Requests that run at once; below the connections that the storage client keeps.
PARALLEL_REQUESTS = 8

_PLAN, _BEGUN = "plan.json", "begun.json"
_DONE = "done-"


@dataclass(frozen=True)
class Plan:
    """What is embedded, and by what.

    Attributes:
        catalog: where the photos lie: a folder or file, for `open_source`.
        here: whether workers must see it; False: all photos have gs:// URIs.
        rows: photos.
        rows_per_shard: of all shards but the last, which may be smaller.
        program_sha256: of the program's file.
        model_id, precision, image_size, dim: of the program.
        numbered: whether images get their ids by counting those of one name within a product;
            else by a hash of their path, which takes no memory of the others.
        schema_version: of the job's files.
    """

    catalog: str
    here: bool
    rows: int
    rows_per_shard: int
    program_sha256: str
    model_id: str
    precision: Precision
    image_size: int
    dim: int
    numbered: bool = True
    schema_version: int = SCHEMA_VERSION

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.rows // self.rows_per_shard)

    def first_row(self, shard: int) -> int:
        """Return the number of a shard's first photo."""
        return shard * self.rows_per_shard

    def rows_of(self, shard: int) -> int:
        """Return how many photos a shard has."""
        return min(self.rows_per_shard, self.rows - self.first_row(shard))


@dataclass(frozen=True)
class Completion:
    """A shard's marker.

    Attributes:
        sha256, size: of the file of vectors.
        unreadable: photos that are not in it: row, where it is listed, and why.
    """

    sha256: str
    size: int
    unreadable: tuple[tuple[int, str, str], ...] = ()


class Job:
    """The files of one job. Safe to use from several threads and processes."""

    def __init__(self, root: Storage, job_id: str) -> None:
        self.job_id = job_id
        self.root = root
        self.storage = root.child(f"{EMBEDDINGS}/{job_id}")

    def begin(self) -> None:
        """Tell when: who removes what was abandoned goes by it."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._write(_BEGUN, {"begun": now})

    def begun(self) -> datetime | None:
        """Return when somebody last set to it; None where that is not told."""
        record = self._read(_BEGUN)
        try:
            return datetime.fromisoformat(record["begun"]) if record else None
        except (KeyError, TypeError, ValueError):
            return None

    def write_plan(self, plan: Plan) -> None:
        """Write it, once the photos of all its shards are written."""
        self._write(_PLAN, asdict(plan))

    def find_plan(self) -> Plan | None:
        """Return the plan; None where there is none, or one of another schema."""
        record = self._read(_PLAN)
        try:
            plan = Plan(**record) if record else None
        except TypeError:
            return None
        return plan if plan is not None and plan.schema_version == SCHEMA_VERSION else None

    def plan(self) -> Plan:
        """Return the plan.

        Raises:
            PublishError: it is gone, or of another schema.
        """
        plan = self.find_plan()
        if plan is None:
            raise PublishError(
                f"{self.storage.url}: expected the plan of an embedding, of schema "
                f"{SCHEMA_VERSION}; found none. Was it removed meanwhile? Publish again."
            )
        return plan

    def photos_name(self, shard: int) -> str:
        """Return the name of what is listed of a shard's photos."""
        return f"photos-{shard:06d}.parquet"

    def vectors_name(self, shard: int) -> str:
        """Return the name of what became of them."""
        return f"vectors-{shard:06d}.parquet"

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            PublishError: it is gone.
            StorageError: it cannot be read.
        """
        try:
            return self.storage.read(name)
        except NotFoundInStorage as error:
            raise PublishError(
                f"{self.storage.url}/{name}: expected a file, found none. Was it removed "
                "meanwhile? Publish again."
            ) from error

    def complete(
        self, shard: int, vectors: bytes, unreadable: Sequence[tuple[int, str, str]]
    ) -> Completion:
        """Write a shard's vectors, then its marker."""
        self.storage.write(self.vectors_name(shard), vectors)
        sha256 = hashlib.sha256(vectors).hexdigest()
        completion = Completion(sha256, len(vectors), tuple(unreadable))
        self._write(f"{_DONE}{shard:06d}.json", asdict(completion))
        return completion

    def completion(self, shard: int) -> Completion | None:
        """Return a shard's marker; None where there is none that its file of vectors bears out."""
        record = self._read(f"{_DONE}{shard:06d}.json")
        try:
            if record is None:
                return None
            unreadable = tuple((row, place, why) for row, place, why in record["unreadable"])
            found = Completion(record["sha256"], record["size"], unreadable)
            size = self.storage.size(self.vectors_name(shard))
        except (KeyError, TypeError, ValueError, NotFoundInStorage):
            return None
        return found if size == found.size else None

    def completions(self) -> dict[int, Completion]:
        """Return the markers of all shards that are done."""
        numbers = [
            int(name.removeprefix(_DONE).removesuffix(".json"))
            for name in self.storage.list()
            if name.startswith(_DONE)
        ]
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            found = zip(numbers, pool.map(self.completion, numbers), strict=True)
            return {number: marker for number, marker in found if marker is not None}

    def reject(self, shard: int) -> None:
        """Take a shard's marker away: it is embedded anew."""
        self.storage.delete(f"{_DONE}{shard:06d}.json")

    def remove(self) -> Iterator[str]:
        """Remove all of it, its plan first, and yield what is gone."""
        names = self.storage.list()
        if _PLAN in names:
            self.storage.delete(_PLAN)
            yield _PLAN
        others = [name for name in names if name != _PLAN]
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for name, _ in zip(others, pool.map(self.storage.delete, others), strict=True):
                yield name
        if self.storage.folder is not None:
            # What killed workers hid, and the folders.
            shutil.rmtree(self.storage.folder, ignore_errors=True)
            with suppress(OSError):
                self.storage.folder.parent.rmdir()

    def _write(self, name: str, record: dict[str, Any]) -> None:
        data = json.dumps(record, indent=1).encode()
        self.storage.write(name, data, content_type="application/json")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            record = json.loads(self.storage.read(name))
        except (NotFoundInStorage, ValueError):
            return None
        return record if isinstance(record, dict) else None


def job_id(content: str, *program: object) -> str:
    """Name a job.

    Args:
        content: a hash of what is embedded.
        program: all else that its results depend on, in JSON's own types.
    """
    told = json.dumps([SCHEMA_VERSION, content, *program])
    return hashlib.sha256(told.encode()).hexdigest()[:ID_DIGITS]
