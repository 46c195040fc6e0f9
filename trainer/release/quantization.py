"""The embedder's ONNX graph with its convolutions in int8, calibrated on photos.

Weights are symmetric int8 with one scale for each output channel, activations 8-bit with one scale
each, as QuantizeLinear and DequantizeLinear around what shall run in int8 (Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018, equation 1 with zero point 0). A runtime that knows the pattern computes in int8; any
other computes the same rounding in float. What follows the last block stays in float. The first
convolution does not: in bfloat16 on one processor and float32 on another, its differences would be
rounded apart by all that follows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from jaxtyping import Float, Int8, UInt8
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from function.embedder import openvino_core

# Values of each activation that its scale is chosen from, per photo.
_VALUES_PER_PHOTO = 2048
# Every activation of so many photos is in memory at once: about 45 MB each for a ResNet-50.
_BATCH = 4
# Scales that are tried, as shares of the one that clips nothing.
_SHARES = np.linspace(0.2, 1.0, 41, dtype=np.float32)
_SMALLEST_SCALE = np.float32(1e-12)


@dataclass(frozen=True)
class _Scale:
    """real = scale · integer, the integer clipped to its type's range."""

    scale: np.float32
    dtype: type[np.uint8] | type[np.int8]


def quantized(
    model: onnx.ModelProto, pixels: UInt8[np.ndarray, "photos size size 3"]
) -> onnx.ModelProto:
    """Return the same network with int8 convolutions.

    Args:
        model: as `onnx_model` writes it.
        pixels: photos that the activations' ranges are measured on: of the kind to be embedded.
    """
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    pools = [node for node in model.graph.node if node.op_type == "MaxPool"]
    pooled = {node.output[0] for node in pools}
    stored = {array.name for array in model.graph.initializer}
    sums = [
        node
        for node in model.graph.node
        if node.op_type == "Add" and stored.isdisjoint(node.input)  # not of a convolution's bias
    ]
    # What a pool gives is on its input's scale already.
    names = dict.fromkeys(
        name
        for node in (*pools, *convolutions, *sums)
        for name in (node.input if node.op_type == "Add" else node.input[:1])
        if name not in pooled
    )
    scales = {
        name: _activation_scale(values) for name, values in _observed(model, names, pixels).items()
    }
    return _rewritten(model, scales, int8_kernels={node.input[1] for node in convolutions})


def _observed(
    model: onnx.ModelProto,
    names: Iterable[str],
    pixels: UInt8[np.ndarray, "photos size size 3"],
) -> dict[str, Float[np.ndarray, " values"]]:
    """Values of some activations, drawn by a fixed seed, and the extremes of each batch."""
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    core = openvino_core()
    network = core.read_model(seen.SerializeToString())
    program = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    random = np.random.default_rng(0)
    values: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for start in range(0, len(pixels), _BATCH):
        found = program(pixels[start : start + _BATCH])
        for name, kept in values.items():
            activations = found[name].reshape(-1)
            drawn = random.integers(0, activations.size, _VALUES_PER_PHOTO * len(found[name]))
            kept.append(activations[drawn])
            kept.append(np.array([activations.min(), activations.max()]))
    return {name: np.concatenate(kept) for name, kept in values.items()}


def _activation_scale(values: Float[np.ndarray, " values"]) -> _Scale:
    """The scale with the least mean squared error; unsigned where nothing is negative."""
    dtype = np.uint8 if values.min() >= 0 else np.int8
    limits = np.iinfo(dtype)
    # -128 is left to what would be clipped: 127 on both sides is symmetric.
    widest = max(np.abs(values).max() / np.float32(limits.max), _SMALLEST_SCALE)

    def error(scale: np.float32) -> float:
        rounded = np.clip(np.rint(values / scale), limits.min, limits.max) * scale
        return float(np.square(rounded - values).mean())

    return _Scale(min(widest * _SHARES, key=error), dtype)


def _kernel_scale(
    kernel: Float[np.ndarray, "out in y x"],
) -> tuple[Int8[np.ndarray, "out in y x"], Float[np.ndarray, " out"]]:
    """int8 weights and the scale of each output channel; nothing is clipped."""
    scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)) / 127, _SMALLEST_SCALE)
    integers = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
    return integers, scale.astype(np.float32)


def _rewritten(
    model: onnx.ModelProto, scales: dict[str, _Scale], int8_kernels: set[str]
) -> onnx.ModelProto:
    """Put quantisation around what has a scale, and int8 in place of those kernels."""
    stored = {array.name: array for array in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    arrays: list[onnx.TensorProto] = []

    def constant(name: str, value: NDArray[np.generic] | np.generic) -> str:
        arrays.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    # A zero point that is not given is 0: each that is would be read, and removed, at every start.
    def dequantized(integers: str, scale: str, output: str, axis: int) -> None:
        nodes.append(
            helper.make_node("DequantizeLinear", [integers, scale], [output], output, axis=axis)
        )

    for node in model.graph.node:
        if node.op_type == "Cast" and node.output[0] in int8_kernels:
            name = node.output[0]
            kernel = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
            weights, channel_scales = _kernel_scale(kernel)
            dequantized(
                constant(f"{name}_int8", weights),
                constant(f"{name}_scale", channel_scales),
                name,
                axis=0,
            )
            continue
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.op_type in ("Conv", "Add", "MaxPool"):
            copy.input[:] = [f"{name}_8bit" if name in scales else name for name in node.input]
        nodes.append(copy)
        for name in node.output:
            if name in scales:
                scale = constant(f"{name}_scale", scales[name].scale)
                inputs = [name, scale]
                if scales[name].dtype is not np.uint8:  # the type where there is no zero point
                    inputs.append(constant(f"{name}_zero", scales[name].dtype(0)))
                integers = f"{name}_integers"
                nodes.append(helper.make_node("QuantizeLinear", inputs, [integers]))
                dequantized(integers, scale, f"{name}_8bit", axis=1)
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        model.graph.name,
        model.graph.input,
        model.graph.output,
        [array for array in (*model.graph.initializer, *arrays) if array.name in used],
    )
    written = helper.make_model(
        graph,
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        producer_name=model.producer_name,
    )
    onnx.checker.check_model(written, full_check=True)
    return written
