"""What a release says about itself: the manifest and its fields."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .calibration import Calibration
from .errors import ReleaseError
from .processor import int8_instructions

# Raised by every change that a function of the version before would misread.
SCHEMA_VERSION = 2

MANIFEST = "manifest.json"
EMBEDDER_ONNX = "embedder.onnx"
EMBEDDER_INT8 = "embedder.int8.onnx"
EMBEDDER_STABLEHLO = "embedder.stablehlo"
CHECKPOINT = "checkpoint"
INDEX = "index"
CATALOG = "catalog.sqlite"
GOLDEN = "golden.npz"

Precision = Literal["float", "int8"]
OPENVINO_PROGRAMS: dict[Precision, str] = {"float": EMBEDDER_ONNX, "int8": EMBEDDER_INT8}

# What each engine needs besides the index, the catalogue and the golden vectors: files or folders.
# Where release and processor allow, the int8 program takes the place of openvino's other.
ENGINES = {"openvino": (EMBEDDER_ONNX,), "jax": (EMBEDDER_STABLEHLO, CHECKPOINT)}

# The first two lie in the release's files, the last in PostgreSQL (`function.postgres`).
IndexKind = Literal["exact", "scann", "pgvector"]
# Numbers in half precision, float16, are for databases alone.
RowType = Literal["float32", "float16", "int16", "int8"]

_RELEASE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


@dataclass(frozen=True)
class ModelInfo:
    """The network behind the vectors.

    Attributes:
        model_id: hash of its weights and configuration; equal ids give equal vectors.
        architecture: as `resnet50`.
        embedding_dim: length of its unit vectors.
        image_size: side of the square photo it takes, in pixels.
        pooling: how its last feature map becomes one vector, as `average`; "" in releases from
            before this was said.
    """

    model_id: str
    architecture: str
    embedding_dim: int
    image_size: int
    pooling: str = ""


@dataclass(frozen=True)
class IndexSetting:
    """One way to index and search, and what it was measured to give at publication.

    Attributes:
        kind: "exact", "scann" (tree, quantised scoring, reordering) or "pgvector" (in PostgreSQL:
            a graph, or AlloyDB's tree).
        row_type: numbers that the rows are kept in, for reordering and for exact search.
        leaves: clusters of the tree; 0 where there is none, and so the next two.
        leaves_to_search: clusters whose rows get quantised scores.
        reorder: best quantised scores that are computed again from the rows.
        recall_at_10: share of the true ten nearest rows that it returned.
        ms: of one query, alone; the median.
        megabytes: files that a function holds or maps, or the database's tables and indexes.
        ef_search: candidates that a search of a graph keeps, at the least; 0 where there is none.
        tree_dim: numbers that the tree knows each row by: as many as it has, or fewer; 0 where
            there is no tree, and in releases from before this was said.
    """

    kind: IndexKind
    row_type: RowType
    leaves: int
    leaves_to_search: int
    reorder: int
    recall_at_10: float
    ms: float
    megabytes: float
    ef_search: int = 0
    tree_dim: int = 0


@dataclass(frozen=True)
class IndexInfo:
    """The index over the catalogue's vectors.

    Attributes:
        index_id: hash of its files; answers carry it as indexVersion.
        rows: vectors in it.
        target_recall_at_10: what it was tuned to return of the true ten nearest rows.
        chosen: the setting that is served: of those that reach the target one of the fastest.
        curve: all settings that were measured, the chosen one among them.
    """

    index_id: str
    rows: int
    target_recall_at_10: float
    chosen: IndexSetting
    curve: tuple[IndexSetting, ...]

    @property
    def kind(self) -> IndexKind:
        """Of the chosen setting."""
        return self.chosen.kind

    @property
    def recall_at_10(self) -> float:
        """Of the chosen setting."""
        return self.chosen.recall_at_10


@dataclass(frozen=True)
class Counts:
    """What the catalogue holds."""

    products: int
    images: int


@dataclass(frozen=True)
class GoldenInfo:
    """The photos whose vectors are checked before serving.

    Attributes:
        photos: how many.
        worst_cosine: the lowest that the published program reached on the publisher's machine.
        instructions: of that machine's processor for floats, as "amx_bf16"; "" where none is known,
            and in releases from before this was said.
    """

    photos: int
    worst_cosine: float
    instructions: str = ""


@dataclass(frozen=True)
class Int8Info:
    """The int8 program beside the float one, as measured by the publisher.

    Recall is that of the catalogue's photos, queries being parts of them: see
    `trainer.release.precision`.

    Attributes:
        chosen: whether the release has it. Its vectors are then the index's, and what answers
            wherever the processor can.
        instructions: of the publisher's processor, as "amx_int8".
        latency_ratio: the time of one photo, divided by the float program's.
        queries: how many measured the recalls.
        recall_at_1: of the float program for queries and catalogue.
        recall_at_1_int8: of the int8 program for both.
        recall_at_1_mixed: of the float program for queries to a catalogue in int8.
        worst_cosine: the lowest between its vectors and the trained network's, of golden photos.
    """

    chosen: bool
    instructions: str
    latency_ratio: float
    queries: int
    recall_at_1: float
    recall_at_1_int8: float
    recall_at_1_mixed: float
    worst_cosine: float


@dataclass(frozen=True)
class FileInfo:
    """One file: SHA-256 in hexadecimal, size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """All that a release says about itself; written last, so a release with one is complete.

    Attributes:
        schema_version: SCHEMA_VERSION of the publisher.
        release_id: sorts by time of publication.
        created: UTC, as `2026-11-20T09:00:00Z`.
        model: the network.
        index: the index.
        counts: of products and images.
        golden: the photos whose vectors are checked.
        evaluation: retrieval results on unseen products, as `lookalike evaluate --json` prints,
            without its by_category and conventions.
        files: every other file of the release, by name relative to it.
        int8: what was measured of an int8 program; None if none was made.
        calibration: what scores mean; None where too few products were kept unseen to tell.
        base: the release whose program and vectors this one took over, but for what changed in the
            catalogue; "" where it was published in full.
    """

    schema_version: int
    release_id: str
    created: str
    model: ModelInfo
    index: IndexInfo
    counts: Counts
    golden: GoldenInfo
    evaluation: dict[str, Any]
    files: dict[str, FileInfo]
    int8: Int8Info | None = None
    calibration: Calibration | None = None
    base: str = ""

    def to_json(self) -> bytes:
        """Return the manifest as UTF-8 JSON, keys sorted."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False).encode()

    def precision_here(self, engine: str) -> Precision:
        """Return the precision of the program that `engine` runs on this processor."""
        offered = engine == "openvino" and self.int8 is not None and self.int8.chosen
        return "int8" if offered and int8_instructions() else "float"

    def programs_for(self, engine: str) -> tuple[str, ...]:
        """Return what `engine` runs here, and its weights: names of files or folders."""
        if self.precision_here(engine) == "int8":
            return (EMBEDDER_INT8,)
        return ENGINES[_known_engine(engine)]

    def has_program_of(self, held: "Manifest", engine: str) -> bool:
        """Say whether `engine` would run the same files here as for another release."""
        programs = self.programs_for(engine)
        return (
            programs == held.programs_for(engine)
            and self.model == held.model
            and self._files(programs, engine) == held._files(programs, engine)
        )

    @property
    def is_in_database(self) -> bool:
        """Whether the index and the catalogue lie in PostgreSQL, not in files of the release."""
        return self.index.kind == "pgvector"

    def has_index_of(self, held: "Manifest", engine: str) -> bool:
        """Say whether the index has the same files, and the same kind, as another release's."""
        if self.is_in_database or self.index.kind != held.index.kind:
            return False
        return self._files((INDEX,), engine) == held._files((INDEX,), engine)

    def files_for(self, engine: str, held: "Manifest | None" = None) -> dict[str, FileInfo]:
        """Return the files that `engine` needs here, but for those of parts that it has loaded.

        Args:
            engine: as for `programs_for`.
            held: of the release that it has loaded, whose program and index go on where they are
                the same; None: it has none.

        Raises:
            ReleaseError: the release lacks one.
        """
        wanted = [GOLDEN] if self.is_in_database else [CATALOG, GOLDEN]
        if not self.is_in_database and (held is None or not self.has_index_of(held, engine)):
            wanted.append(INDEX)
        if held is None or not self.has_program_of(held, engine):
            wanted.extend(self.programs_for(engine))
        return self._files(tuple(wanted), engine)

    def _files(self, parts: tuple[str, ...], engine: str) -> dict[str, FileInfo]:
        needed: dict[str, FileInfo] = {}
        for part in parts:
            found = {
                name: info
                for name, info in self.files.items()
                if name == part or name.startswith(part + "/")
            }
            if not found:
                raise ReleaseError(
                    f"{MANIFEST} of release {self.release_id}: files: expected {part}, "
                    f"which the {engine} engine needs; found none. Publish again."
                )
            needed |= found
        return needed


def _known_engine(engine: str) -> str:
    if engine not in ENGINES:
        raise ReleaseError(f"engine: expected one of {', '.join(ENGINES)}; found {engine!r}.")
    return engine


def is_release_id(text: str) -> bool:
    """Say whether `text` can name a release, and so a folder."""
    return bool(_RELEASE_ID.fullmatch(text))
