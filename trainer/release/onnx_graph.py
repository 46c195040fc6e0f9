"""An embedder as an ONNX graph, written node by node from the model's own modules.

The architecture is not written a second time: the walk follows the stages, blocks and layers that
the model holds, and reads strides and sizes from its convolutions. BatchNorm is folded into the
kernel before it, and the deviation of the preprocessing into the first kernel. What no later layer
reads is not computed: a block whose readers all take every other position gives only those.

Where the pooling is the average, the graph gives out what is averaged too, and its head by name:
`function.explanation` shares a score out over the positions with these.
"""

from typing import Any

import numpy as np
import onnx
from flax import nnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from function.embedder import FEATURES, HEAD_BIAS, HEAD_KERNEL
from trainer.model.config import PREPROCESSING
from trainer.model.embedder import NORM_FLOOR, Embedder
from trainer.model.parameters import to_flat
from trainer.model.pooling import GEM_FLOOR, AveragePooling, GeneralizedMeanPooling
from trainer.model.resnet import MAX_POOL_SIZE, ConvolutionNorm, ResidualBlock

# Old enough for every current runtime; 18 made the axes of ReduceL2 an input.
OPSET = 18
IR_VERSION = 9
PIXELS, EMBEDDING = "pixels", "embedding"


def onnx_model(model: Embedder, *, image_size: int) -> onnx.ModelProto:
    """`pixels`, uint8 [batch, size, size, 3] RGB -> `embedding`, float32 [batch, dim], unit rows.

    With average pooling also `features`, float32 [batch, channels, rows, columns], before it.

    Inference mode whatever mode the model is in. Kernels are stored as float16, which halves the
    file; they are widened as the program is loaded and everything is computed in float32.
    """
    graph = _Graph()
    how = PREPROCESSING[model.config.preprocessing]
    pixels = graph.add("Transpose", PIXELS, perm=[0, 3, 1, 2])
    pixels = graph.add("Cast", pixels, to=TensorProto.FLOAT)
    mean = np.asarray(how.mean, np.float32).reshape(1, 3, 1, 1)
    pixels = graph.add("Sub", pixels, graph.constant(mean))
    deviation = np.asarray(how.deviation, np.float32)[:: -1 if how.bgr else 1]
    stem = graph.convolution(model.stem, pixels, model.stem.conv.stride, deviation, how.bgr)
    features = graph.add("Relu", stem)
    features = graph.add(
        "MaxPool", features, kernel_shape=[MAX_POOL_SIZE] * 2, strides=[2, 2], pads=[1] * 4
    )
    blocks = [block for stage in model.stages for block in stage]
    read = [_read_stride(block) for block in blocks[1:]]
    for block, before, after in zip(blocks, [1, *read], [*read, 1], strict=True):
        features = graph.residual_block(block, features, before, after)
    types = [_float_type(EMBEDDING, "batch", model.config.output_dim)]
    if isinstance(model.pooling, AveragePooling):
        features = graph.add("Identity", features, output=FEATURES)
        types.append(_float_type(FEATURES, "batch", model.config.feature_dim, None, None))
    outputs = graph.pooling(model, features)
    if model.head is not None:
        head = _arrays(model.head)
        kernel = graph.kernel(head["kernel"], HEAD_KERNEL)
        bias = graph.constant(head["bias"], HEAD_BIAS)
        outputs = graph.add("Gemm", outputs, kernel, bias)
    length = graph.add("ReduceL2", outputs, graph.constant(np.asarray([1])), keepdims=1)
    length = graph.add("Max", length, graph.constant(np.float32(NORM_FLOOR)))
    graph.add("Div", outputs, length, output=EMBEDDING)

    pixels_type = helper.make_tensor_value_info(
        PIXELS, TensorProto.UINT8, ["batch", image_size, image_size, 3]
    )
    written = helper.make_model(
        helper.make_graph(graph.nodes, "embedder", [pixels_type], types, graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lookalike",
    )
    onnx.checker.check_model(written, full_check=True)
    return written


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Appends a node and returns the name of its output."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, value: NDArray[Any] | np.generic, name: str = "") -> str:
        """Stores an array as it is and returns its name."""
        name = name or f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def kernel(self, value: NDArray[Any], name: str = "") -> str:
        """Stores an array as float16; runtimes widen it once, while they load."""
        return self.add("Cast", self.constant(value.astype(np.float16), name), to=TensorProto.FLOAT)

    def convolution(
        self,
        layer: ConvolutionNorm,
        inputs: str,
        stride: int,
        deviation: NDArray[Any] | None = None,
        bgr: bool = False,
    ) -> str:
        """A convolution with its BatchNorm, and what its inputs are yet to be divided by.

        `stride` is the layer's own, but for what neighbours took over or handed on.
        """
        arrays = _arrays(layer)
        scale = arrays["norm/scale"] / np.sqrt(arrays["norm/var"] + layer.norm.epsilon)
        kernel = arrays["conv/kernel"] * scale
        if deviation is not None:
            kernel /= deviation[:, None]
        if bgr:
            kernel = kernel[:, :, ::-1]
        bias = arrays["norm/bias"] - arrays["norm/mean"] * scale
        outputs = self.add(
            "Conv",
            inputs,
            self.kernel(kernel.transpose(3, 2, 0, 1)),
            kernel_shape=[layer.conv.size] * 2,
            strides=[stride] * 2,
            pads=[layer.conv.padding] * 4,
        )
        # Were it the convolution's third input, OpenVINO would give it this shape by seven nodes,
        # which it makes and folds away again at every start.
        return self.add("Add", outputs, self.constant(bias.reshape(1, -1, 1, 1)))

    def residual_block(self, block: ResidualBlock, inputs: str, before: int, after: int) -> str:
        """relu(branch(x) + shortcut(x)).

        `before`: the stride that `inputs` has already been thinned by, for this block. `after`:
        the one that its own output is thinned by, for the next.
        """
        layers = list(block.branch)
        strides = [layer.conv.stride for layer in layers]
        strides[0] //= before
        # Only bottlenecks are thinned. Their last layer works on single positions, so that what
        # it does not read need not be computed by the layer before it.
        strides[-2] *= after
        features = inputs
        for layer, stride in zip(layers[:-1], strides, strict=False):
            features = self.add("Relu", self.convolution(layer, features, stride))
        features = self.convolution(layers[-1], features, strides[-1])
        if block.shortcut is None:
            shortcut = self.thinned(inputs, after)
        else:
            stride = block.shortcut.conv.stride // before * after
            shortcut = self.convolution(block.shortcut, self.thinned(inputs, stride), 1)
        return self.add("Relu", self.add("Add", features, shortcut))

    def thinned(self, inputs: str, stride: int) -> str:
        """Every stride-th position, across and down."""
        if stride == 1:
            return inputs
        return self.add("MaxPool", inputs, kernel_shape=[1, 1], strides=[stride] * 2)

    def pooling(self, model: Embedder, features: str) -> str:
        """[batch, dim, y, x] -> [batch, dim]."""
        if isinstance(model.pooling, GeneralizedMeanPooling):
            power = _arrays(model.pooling)["power"]
            floored = self.add("Max", features, self.constant(np.float32(GEM_FLOOR)))
            raised = self.add("Pow", floored, self.constant(power))
            mean = self.add("GlobalAveragePool", raised)
            return self.add("Flatten", self.add("Pow", mean, self.constant(1 / power)))
        return self.add("Flatten", self.add("GlobalAveragePool", features))


def _read_stride(block: ResidualBlock) -> int:
    """Of its inputs' positions, across and down, a block reads one in how many."""
    if block.shortcut is None or block.branch[0].conv.size > 1:
        return 1
    return min(block.branch[0].conv.stride, block.shortcut.conv.stride)


def _float_type(name: str, *shape: str | int | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _arrays(module: nnx.Module) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(value) for name, value in to_flat(module).items()}
