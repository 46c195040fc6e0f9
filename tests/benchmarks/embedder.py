"""One photo through the network: each serving engine, the Flax model, and what arithmetic allows.

    python -m tests.benchmarks.embedder [--architecture resnet50] [--image-size 224] [--batch 1]

The limit is the network's own operations at the pace of the fastest large matrix product that this
machine did in the same run, per number type. The weights are random: the time is that of any.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
import openvino
import orbax.checkpoint as ocp
from flax import nnx
from openvino import opset13 as ops

from function.embedder import open_embedder
from function.manifest import CHECKPOINT, EMBEDDER_ONNX, EMBEDDER_STABLEHLO
from tests.benchmarks.timing import Row, report, time_calls
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import to_flat
from trainer.release.program import export_onnx, export_stablehlo

PRODUCT_SIDE = 2048


def large_product(precision: str) -> Callable[[], object]:
    """A matrix product in OpenVINO, "f32" or "bf16", large enough to keep every core busy."""
    left = ops.parameter([PRODUCT_SIDE, PRODUCT_SIDE], np.float32)
    weights = np.random.default_rng(0).normal(size=(PRODUCT_SIDE, PRODUCT_SIDE)).astype(np.float32)
    model = openvino.Model([ops.matmul(left, ops.constant(weights), False, False)], [left])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return partial(compiled.create_infer_request().infer, [weights])


def write_programs(model: Embedder, folder: Path, image_size: int) -> None:
    """What the engines need of a release."""
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=image_size)
    export_stablehlo(model, folder / EMBEDDER_STABLEHLO, image_size=image_size)
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / CHECKPOINT, to_flat(model))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()

    config = ModelConfig(architecture=arguments.architecture)
    model = Embedder(config, rngs=nnx.Rngs(0))
    model.eval()
    size = arguments.image_size
    shape = (arguments.batch, size, size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    definition, state = nnx.split(model)
    flax = jax.jit(lambda state, pixels: nnx.merge(definition, state)(pixels))
    operations = flax.lower(state, pixels).cost_analysis()["flops"]

    with tempfile.TemporaryDirectory() as folder:
        write_programs(model, Path(folder), size)
        engines = {name: open_embedder(Path(folder), name) for name in ("openvino", "jax")}
        calls = {f"engine {name}": partial(e.embed, pixels) for name, e in engines.items()}
        calls["Flax, jitted"] = lambda: np.asarray(flax(state, pixels))
        expected = calls["Flax, jitted"]()
        errors = {name: float(1 - (call() * expected).sum(1).min()) for name, call in calls.items()}
        products = {precision: large_product(precision) for precision in ("f32", "bf16")}
        timings = time_calls(*calls.values(), *products.values(), seconds=4)

    pace = 2 * PRODUCT_SIDE**3 / operations
    limits = {
        precision: timing.p50 / pace
        for precision, timing in zip(products, timings[len(calls) :], strict=True)
    }
    rows: list[Row] = [
        {
            "what": name,
            "p50 ms": timing.p50,
            "p95 ms": timing.p95,
            "p50 / f32 limit": timing.p50 / limits["f32"],
            "p50 / bf16 limit": timing.p50 / limits["bf16"],
            "1 − cosine to Flax": errors[name],
        }
        for name, timing in zip(calls, timings, strict=False)
    ]
    for name, limit in limits.items():
        row = dict.fromkeys(rows[0])
        rows.append(row | {"what": f"arithmetic limit, {name}", "p50 ms": limit})
    title = (
        f"{config.architecture}, {size} px, batch {arguments.batch}, {operations / 1e9:.2f} GFLOP"
    )
    report("embedder", title, rows)


if __name__ == "__main__":
    main()
