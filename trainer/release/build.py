"""A release's folder on this machine: program, weights, index, catalogue, golden vectors."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8

from function.catalog import ImageRow, Product, write_catalog
from function.embedder import open_embedder
from function.errors import ReleaseError
from function.golden import check_golden, write_golden
from function.loading import open_release
from function.manifest import (
    CATALOG,
    CHECKPOINT,
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    ENGINES,
    GOLDEN,
    INDEX,
    MANIFEST,
    SCHEMA_VERSION,
    FileInfo,
    GoldenInfo,
    IndexInfo,
    Int8Info,
    Manifest,
    ModelInfo,
    Precision,
)
from function.photo import load_pixels
from function.release import LocalRelease, file_info
from trainer.data.records import Catalog, Photo
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, to_flat
from trainer.progress import console
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.calibration.writing import calibrate_release
from trainer.release.embedding import EmbeddedCatalog, decoded, embed_catalog, read_photo
from trainer.release.identity import new_release_id
from trainer.release.images import ImageStore, StoredPhoto
from trainer.release.indexing import DEFAULT_RECALL, build_index
from trainer.release.precision import PrecisionChoice, make_int8
from trainer.release.program import export_onnx, export_stablehlo
from trainer.release.questions import Answerable, Questions
from trainer.release.tuning import Queries
from trainer.release.tuning_figure import TUNING, tuning_png

# Photos whose vectors every function checks before it serves: each costs a cold start one
# inference.
GOLDEN_PHOTOS = 4

# What embeds the catalogue, and by default the queries.
SERVING_ENGINE = "openvino"

_ID_DIGITS = 12


@dataclass(frozen=True)
class Program:
    """The exported network.

    Attributes:
        model: what the manifest says about it.
        worst_cosine: the float program's least agreement with Flax on the golden photos.
        int8: what was measured of an int8 program; None if none was made.
    """

    model: ModelInfo
    worst_cosine: float
    int8: Int8Info | None = None

    @property
    def precision(self) -> Precision:
        """Of what embeds the catalogue."""
        return "int8" if self.int8 is not None and self.int8.chosen else "float"


def build_release(
    model: Embedder,
    image_size: int,
    catalog: Catalog,
    folder: Path,
    *,
    images: ImageStore,
    evaluation: Mapping[str, Any],
    image_base_url: str | None,
    precision: PrecisionChoice,
    workers: int | None,
    recall: float = DEFAULT_RECALL,
    questions: Questions,
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
) -> LocalRelease:
    """Write a release, tried as a function would try it, into an existing, empty folder.

    Args: as `publish`; `catalog` holds only what is to be found, `images` takes photos, `questions`
        tune the index and calibrate the scores.

    Raises:
        PublishError: a photo cannot be read, or the release would not serve.
    """
    try:
        with console.status("Writing the serving program and trying it…"):
            program = export_program(
                model, image_size, catalog, folder, precision=precision, workers=workers
            )
        embedder = open_embedder(folder, SERVING_ENGINE, precision=program.precision)
        embedded = embed_catalog(catalog, embedder, images, workers=workers)
        customers, answerable = questions.embed(embedder, embedded.vectors, workers)
        return assemble_release(
            program,
            embedded,
            catalog,
            folder,
            evaluation=evaluation,
            image_base_url=image_base_url,
            recall=recall,
            queries=customers,
            answerable=answerable,
            false_match_rate=false_match_rate,
        )
    except ReleaseError as error:
        raise PublishError(f"The release would not serve. {error.message}") from error


def assemble_release(
    program: Program,
    embedded: EmbeddedCatalog,
    catalog: Catalog,
    folder: Path,
    *,
    evaluation: Mapping[str, Any],
    image_base_url: str | None,
    recall: float = DEFAULT_RECALL,
    queries: Queries | None = None,
    answerable: Answerable | None = None,
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
) -> LocalRelease:
    """Add index, catalogue and manifest to a folder that holds the program, and try it all.

    Args:
        program: as `export_program` returned it for this folder.
        embedded: the program's vectors of the catalogue's photos.
        catalog, evaluation, image_base_url: as for `build_release`.
        recall, queries: as for `build_index`.
        answerable: queries that calibrate the scores; None: they are not calibrated.
        false_match_rate: as for `calibrate`.

    Raises:
        ReleaseError: the release would not serve.
    """
    (folder / INDEX).mkdir()
    built = build_index(embedded.vectors, folder / INDEX, recall=recall, queries=queries)
    (folder / TUNING).write_bytes(tuning_png(built))
    rows = image_rows(catalog.photos, embedded.stored, image_base_url)
    counts = write_catalog(folder / CATALOG, products(catalog.photos), rows, embedded.pictures)
    calibration = None
    if answerable is not None:
        calibration = calibrate_release(folder, built.chosen.kind, answerable, false_match_rate)
    files = {
        path.relative_to(folder).as_posix(): file_info(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    indexed = {name: files[name] for name in files if name.startswith((INDEX, CATALOG))}
    created = datetime.now(UTC)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        release_id="",
        created=created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        model=program.model,
        index=IndexInfo(
            _files_id(indexed),
            counts.images,
            built.target_recall_at_10,
            built.chosen,
            built.curve,
        ),
        counts=counts,
        golden=GoldenInfo(min(GOLDEN_PHOTOS, len(catalog.photos)), program.worst_cosine),
        evaluation=dict(evaluation),
        files=files,
        int8=program.int8,
        calibration=calibration,
    )
    # Equal ids therefore mean equal bytes, even of two publishers in the same millisecond.
    content = hashlib.sha256(manifest.to_json()).hexdigest()
    manifest = replace(manifest, release_id=new_release_id(created, content))
    (folder / MANIFEST).write_bytes(manifest.to_json())
    release = LocalRelease(manifest, folder)
    open_release(release, engine=SERVING_ENGINE).catalog.close()
    return release


def export_program(
    model: Embedder,
    image_size: int,
    catalog: Catalog,
    folder: Path,
    *,
    precision: PrecisionChoice = "float",
    workers: int | None = None,
) -> Program:
    """Write the programs, the weights, and the golden photos with Flax's own float32 vectors.

    Args:
        model, image_size, catalog, precision, workers: as for `publish`.
        folder: existing, and empty.

    Raises:
        PublishError: a photo cannot be read, or as `make_int8`.
        ReleaseError: an engine cannot run its program, or gives other vectors than Flax.
    """
    flat = {name: np.asarray(value) for name, value in to_flat(model).items()}
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=image_size)
    export_stablehlo(model, folder / EMBEDDER_STABLEHLO, image_size=image_size)
    save_parameters(flat, folder / CHECKPOINT)
    photos = catalog.photos
    chosen = np.linspace(0, len(photos) - 1, min(GOLDEN_PHOTOS, len(photos))).round().astype(int)
    pixels = np.stack([_pixels(catalog, photos[number], image_size) for number in chosen])
    reference = from_flat(replace(model.config, dtype="float32"), flat)
    vectors = np.asarray(nnx.jit(reference)(jnp.asarray(pixels)), np.float32)
    golden: dict[str, Float[np.ndarray, "photos dim"]] = {"float": vectors}
    write_golden(folder / GOLDEN, pixels, golden)
    worst = {
        engine: check_golden(open_embedder(folder, engine), folder / GOLDEN)[1]["float"]
        for engine in ENGINES
    }
    int8 = make_int8(folder, catalog, (pixels, vectors), precision, workers=workers)
    if int8 is not None and int8.chosen:
        golden["int8"] = open_embedder(folder, SERVING_ENGINE, precision="int8").embed(pixels)
        write_golden(folder / GOLDEN, pixels, golden)
    info = ModelInfo(
        model_id=_model_id(model, image_size, flat),
        architecture=model.config.architecture,
        embedding_dim=model.config.output_dim,
        image_size=image_size,
        pooling=model.config.pooling,
    )
    return Program(info, worst[SERVING_ENGINE], int8)


def _pixels(catalog: Catalog, photo: Photo, size: int) -> UInt8[np.ndarray, "size size 3"]:
    data = read_photo(catalog, photo)
    return decoded(photo, lambda: load_pixels(data, size))


def save_parameters(flat: Mapping[str, Float[np.ndarray, "..."]], folder: Path) -> None:
    """Write the weights, and nothing else of a training checkpoint, as Orbax files."""
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), dict(flat))


def _model_id(
    model: Embedder, image_size: int, flat: Mapping[str, Float[np.ndarray, "..."]]
) -> str:
    digest = hashlib.sha256(json.dumps([model.config.to_dict(), image_size]).encode())
    for name in sorted(flat):
        digest.update(name.encode() + flat[name].tobytes())
    return digest.hexdigest()[:_ID_DIGITS]


def _files_id(files: Mapping[str, FileInfo]) -> str:
    content = json.dumps({name: asdict(info) for name, info in files.items()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_ID_DIGITS]


def products(photos: tuple[Photo, ...]) -> list[Product]:
    """Merge what the photos of a product say.

    That is the first title, category and price, and all labels and product sets.
    """
    merged: dict[str, Product] = {}
    for photo in photos:
        known = merged.get(photo.product_id, Product(photo.product_id))
        merged[photo.product_id] = Product(
            photo.product_id,
            known.title or photo.title,
            known.category or photo.category,
            known.price or photo.price,
            tuple(dict.fromkeys(known.labels + photo.labels)),
            tuple(dict.fromkeys(known.product_sets + photo.product_sets)),
        )
    return list(merged.values())


def image_rows(
    photos: tuple[Photo, ...],
    stored: tuple[StoredPhoto | None, ...],
    image_base_url: str | None,
) -> list[ImageRow]:
    """Give each photo its row, an id unique within its product, and its address.

    Args:
        photos: in the order of the index.
        stored: for each photo, where it was stored; None for one with a URL.
        image_base_url: where the root's images/ is public; None: the function gives them out.
    """
    taken: set[tuple[str, str]] = set()
    rows = []
    for row, (photo, where) in enumerate(zip(photos, stored, strict=True)):
        image_id = PurePosixPath(photo.image).stem
        while (photo.product_id, image_id) in taken:
            image_id = f"{image_id}-{row}"
        taken.add((photo.product_id, image_id))
        sha256, thumbnail = (where.sha256, where.thumbnail_sha256) if where else ("", "")
        rows.append(
            ImageRow(
                row,
                photo.product_id,
                image_id,
                url=photo.image_url or _address(image_base_url, sha256),
                thumbnail_url=_address(image_base_url, thumbnail),
                sha256=sha256,
                thumbnail_sha256=thumbnail,
            )
        )
    return rows


def _address(base_url: str | None, sha256: str) -> str:
    return f"{base_url.rstrip('/')}/{sha256}.jpg" if base_url and sha256 else ""
