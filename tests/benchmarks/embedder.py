"""One photo through the network: each serving engine, the Flax model, and what arithmetic allows.

    python -m tests.benchmarks.embedder [--architecture resnet50] [--image-size 224]

The limit is the network's own operations at the pace of large matrix products that this machine did
in the same run, per number type. The weights are random: the time is that of any.
A second table has several callers at once, each with its next photo as soon as it has an answer.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
import onnx
import openvino
import orbax.checkpoint as ocp
from flax import nnx
from numpy.typing import NDArray
from openvino import opset13 as ops

from function.embedder import Embedder as FunctionEmbedder
from function.embedder import open_embedder, openvino_core
from function.manifest import CHECKPOINT, EMBEDDER_INT8, EMBEDDER_ONNX, EMBEDDER_STABLEHLO
from tests.benchmarks.timing import Row, Timing, report, time_calls
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import to_flat
from trainer.release.program import export_onnx, export_stablehlo
from trainer.release.quantization import quantized

PRODUCT_SIDE, PRODUCTS = 2048, 4
CALLERS = (1, 2, 4)
CALLING_SECONDS = 3.0
# The callers take turns between the programs, so that a busy machine is unfair to none of them.
TURNS = 3


def large_products(precision: str) -> Callable[[], object]:
    """Matrix products in OpenVINO, one after another, that keep every core busy: f32, bf16, int8.

    So many that bringing the first factor in and the last product out hardly counts.
    """
    shape = [PRODUCT_SIDE, PRODUCT_SIDE]
    random = np.random.default_rng(0)
    values = random.random(shape, np.float32)
    left = ops.parameter(shape, np.float32)
    product = left
    for _ in range(PRODUCTS):
        weights = random.integers(-127, 128, shape).astype(np.int8)
        # Products stay where they are, about -1 to 1.
        scale = np.float32(1 / 127 / PRODUCT_SIDE**0.5)
        if precision == "int8":
            limit = np.float32(1)
            factor = ops.fake_quantize(product, -limit, limit, -limit, limit, 255)
            other = ops.multiply(ops.convert(ops.constant(weights), np.float32), scale)
        else:
            factor, other = product, ops.constant(weights * scale)
        product = ops.matmul(factor, other, False, True)
    model = openvino.Model([product], [left])
    hint = "f32" if precision == "f32" else "bf16"
    compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return partial(compiled.create_infer_request().infer, [values])


def write_programs(model: Embedder, folder: Path, pixels: NDArray[np.uint8]) -> None:
    """What the engines need of a release."""
    image_size = pixels.shape[1]
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=image_size)
    int8 = quantized(onnx.load(folder / EMBEDDER_ONNX), pixels)
    (folder / EMBEDDER_INT8).write_bytes(int8.SerializeToString())
    export_stablehlo(model, folder / EMBEDDER_STABLEHLO, image_size=image_size)
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / CHECKPOINT, to_flat(model))


def in_float32(program: Path, size: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The ONNX program as a processor without bfloat16 runs it."""
    core = openvino_core()
    network = core.read_model(program)
    network.reshape([1, size, size, 3])
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(network, "CPU", options).create_infer_request()
    return lambda pixels: np.asarray(request.infer([pixels])[0])


def call_from(callers: int, embedder: FunctionEmbedder, photo: NDArray[np.uint8]) -> list[float]:
    """Seconds that each call took, of threads that call without a pause."""
    taken: list[float] = []
    end = time.perf_counter() + CALLING_SECONDS / TURNS

    def call() -> None:
        while (start := time.perf_counter()) < end:
            embedder.embed(photo)
            taken.append(time.perf_counter() - start)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def several_callers(engines: dict[str, FunctionEmbedder], photo: NDArray[np.uint8]) -> list[Row]:
    """Photos a second, and how long each waits, by engine and number of callers."""
    for engine in engines.values():
        call_from(max(CALLERS), engine, photo)  # compiles what several callers need
    taken: dict[tuple[str, int], list[float]] = {}
    for _ in range(TURNS):
        for name, engine in engines.items():
            for callers in CALLERS:
                taken.setdefault((name, callers), []).extend(call_from(callers, engine, photo))
    rows: list[Row] = []
    for (name, callers), seconds in sorted(taken.items()):
        p50, p99 = 1000 * np.percentile(seconds, [50, 99])
        row: Row = {
            "what": name,
            "callers": callers,
            "photos/s": len(seconds) / CALLING_SECONDS,
            "p50 ms": float(p50),
            "p99 ms": float(p99),
            "p99 / p50": float(p99 / p50),
        }
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    arguments = parser.parse_args()

    config = ModelConfig(architecture=arguments.architecture)
    model = Embedder(config, rngs=nnx.Rngs(0))
    model.eval()
    size = arguments.image_size
    several = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), np.uint8)
    pixels = several[:1]
    definition, state = nnx.split(model)
    flax = jax.jit(lambda state, pixels: nnx.merge(definition, state)(pixels))
    operations = flax.lower(state, pixels).cost_analysis()["flops"]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_programs(model, folder, several)
        engines: dict[str, FunctionEmbedder] = {
            "openvino, float": open_embedder(folder, "openvino"),
            "openvino, int8": open_embedder(folder, "openvino", precision="int8"),
        }
        calls = {name: partial(engine.embed, pixels) for name, engine in engines.items()}
        calls["openvino, f32"] = partial(in_float32(folder / EMBEDDER_ONNX, size), pixels)
        calls["jax"] = partial(open_embedder(folder, "jax").embed, pixels)
        calls["Flax, jitted"] = lambda: np.asarray(flax(state, pixels))
        expected = calls["Flax, jitted"]()
        errors = {name: float(1 - (call() * expected).sum(1).min()) for name, call in calls.items()}
        products = {number: large_products(number) for number in ("f32", "bf16", "int8")}
        timings = time_calls(*calls.values(), *products.values(), seconds=4)
        concurrent = several_callers(engines, pixels)

    rows = _rows(dict(zip([*calls, *products], timings, strict=True)), errors, operations)
    title = f"{config.architecture}, {size} px, one photo, {operations / 1e9:.2f} GFLOP"
    report("embedder", title, rows)
    report("embedder_callers", f"{config.architecture}, {size} px, several callers", concurrent)


def _rows(timings: dict[str, Timing], errors: dict[str, float], operations: float) -> list[Row]:
    pace = 2 * PRODUCTS * PRODUCT_SIDE**3 / operations
    limits = {name: timing.p50 / pace for name, timing in timings.items() if name not in errors}
    rows: list[Row] = [
        {
            "what": name,
            "p50 ms": timings[name].p50,
            "p95 ms": timings[name].p95,
            "best ms": timings[name].best,
            **{f"/ {kind} limit": timings[name].p50 / limit for kind, limit in limits.items()},
            "1 − cosine to Flax": error,
        }
        for name, error in errors.items()
    ]
    for name, limit in limits.items():
        row = dict.fromkeys(rows[0])
        rows.append(row | {"what": f"arithmetic limit, {name}", "p50 ms": limit})
    return rows


if __name__ == "__main__":
    main()
