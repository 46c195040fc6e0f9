"""A network and a catalogue to a release's folder on this machine."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8

from function.embedder import open_embedder
from function.errors import ReleaseError
from function.golden import check_golden, write_golden
from function.manifest import (
    CHECKPOINT,
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    ENGINES,
    GOLDEN,
    GoldenInfo,
    ModelInfo,
)
from function.photo import load_pixels
from function.processor import float_instructions
from function.release import LocalRelease
from trainer.data.records import Catalog, Photo
from trainer.data.screen import Report, add_to_report
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, to_flat
from trainer.progress import console
from trainer.release.assembly import assemble_release
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.contents import Contents
from trainer.release.embedding import SERVING_ENGINE, decoded, read_photo
from trainer.release.identity import ID_DIGITS
from trainer.release.indexing import DEFAULT_RECALL
from trainer.release.precision import PrecisionChoice, make_int8
from trainer.release.program import Program, export_onnx, export_stablehlo
from trainer.release.questions import choose_questions
from trainer.release.rows import Rows
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.planning import OpenProgram

# Photos whose vectors every function checks before it serves: each costs a cold start one
# inference.
GOLDEN_PHOTOS = 4


def build_release(
    model: Embedder,
    image_size: int,
    catalog: Catalog,
    folder: Path,
    *,
    embedder: CatalogEmbedder,
    listed: Catalog,
    tried: Catalog,
    unseen: Collection[str],
    report: Report | None,
    evaluation: Mapping[str, Any],
    image_base_url: str | None,
    precision: PrecisionChoice,
    workers: int | None,
    recall: float = DEFAULT_RECALL,
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
    rows: Rows | None = None,
) -> LocalRelease:
    """Write a release, tried as a function would try it, into an existing, empty folder.

    Args: as `publish`; `catalog` holds only what is to be found, `listed` queries too, `tried` what
        the program is measured with.

    Raises:
        PublishError: a photo cannot be read, or the release would not serve.
    """
    try:
        with console.status("Writing the serving program and trying it…"):
            program = export_program(
                model, image_size, tried, folder, precision=precision, workers=workers
            )
        opened = open_embedder(folder, SERVING_ENGINE, precision=program.precision)
        found = embedder.embed(catalog, OpenProgram(folder, program.model, opened))
        add_to_report(found.bad, report)
        bad = {photo for photo, _ in found.bad}
        readable = listed.subset(photo for photo in listed.photos if photo not in bad)
        questions = choose_questions(readable, found.catalog, unseen)
        customers, answerable = questions.embed(opened, found.embedded.vectors, workers)
        return assemble_release(
            program,
            Contents.of(found.catalog.photos, found.embedded, image_base_url),
            folder,
            evaluation=evaluation,
            recall=recall,
            queries=customers,
            answerable=answerable,
            false_match_rate=false_match_rate,
            rows=rows,
        )
    except ReleaseError as error:
        raise PublishError(f"The release would not serve. {error.message}") from error


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
    agreement = GoldenInfo(len(chosen), worst[SERVING_ENGINE], float_instructions())
    return Program(info, agreement, int8)


def _pixels(catalog: Catalog, photo: Photo, size: int) -> UInt8[np.ndarray, "size size 3"]:
    data = read_photo(catalog.source, photo)
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
    return digest.hexdigest()[:ID_DIGITS]
