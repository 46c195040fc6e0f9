"""Pixels to unit vectors, through the release's program.

Engine "openvino" runs embedder.int8.onnx or embedder.onnx, the latter, and what the former has in
float, in bfloat16 where the processor has that. Engine "jax" feeds
embedder.stablehlo with the weights of checkpoint/: for GPUs, and to compare. Both load threads and
must be opened after a fork, never before.
"""

import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import ReleaseError
from .manifest import (
    CHECKPOINT,
    EMBEDDER_STABLEHLO,
    ENGINES,
    OPENVINO_PROGRAMS,
    ModelInfo,
    Precision,
)

# What an ONNX program calls the feature map that it averages, an output of its own, float32
# [batch, channels, rows, columns]; and its linear head: float16 [channels, dim], float32 [dim].
FEATURES, HEAD_KERNEL, HEAD_BIAS = "features", "head_kernel", "head_bias"


type Take = Callable[[str], Path | bytes]
"""Gives a file of a release by its name: its path, or its content, which is nobody else's."""


@runtime_checkable
class Embedder(Protocol):
    """The network as one function. Safe to use from several threads.

    Attributes:
        dim: length of its vectors.
        image_size: side of the square photo it takes, in pixels.
        precision: which golden vectors are its own.
    """

    dim: int
    image_size: int
    precision: Precision

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors [n, dim] for RGB pixels uint8 [n, image_size, image_size, 3]."""


@runtime_checkable
class ExplainableEmbedder(Embedder, Protocol):
    """One that can say which part of a photo gave how much of its vector."""

    def shares(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what each position of the last feature map gives to a photo's unit vector.

        The vector is e / |e| with e = (1/P) Σₚ (W fₚ + b): the mean over P positions of what the
        linear head makes of each (class activation maps, Zhou et al., "Learning Deep Features for
        Discriminative Localization", CVPR 2016, equation 2, with a vector in a class's place).

        Args:
            photo: uint8 [image_size, image_size, 3].

        Returns:
            (W fₚ + b) / (P |e|), float32 [rows, columns, dim], from the top left. Their sum has
            length 1, and is `embed`'s vector but for the program's rounding.
        """


class SharesUnavailable(Exception):
    """Why a release or an engine cannot say which part of a photo gave how much, for people."""


def explainable(embedder: Embedder, model: ModelInfo) -> ExplainableEmbedder:
    """Return an embedder that can say which part of a photo gave how much.

    Args:
        embedder: of a release.
        model: what the release says about it.

    Raises:
        SharesUnavailable: it cannot.
    """
    if isinstance(embedder, ExplainableEmbedder):
        return embedder
    if model.pooling == "gem":
        raise SharesUnavailable(
            "The network pools by generalised means (GeM): its scores are no sums over positions."
        )
    if not model.pooling:
        raise SharesUnavailable("The release is older than explanations. Publish again.")
    raise SharesUnavailable(
        "This engine gives out no feature maps. Serve with the openvino engine."
    )


def import_engine(engine: str) -> None:
    """Import an engine's package, if it is there: `open_embedder` then need not.

    Raises nothing: `open_embedder` says what is wrong.
    """
    with suppress(ImportError):
        if engine == "openvino":
            openvino_core()
        elif engine == "jax":
            import jax  # noqa: F401


def open_embedder(
    folder: Path,
    engine: str,
    *,
    precision: Precision = "float",
    threads: int | None = None,
    inferring: Executor | None = None,
    take: Take | None = None,
) -> Embedder:
    """Load the program in a release's folder for one engine.

    Args:
        folder: the release's.
        engine: "openvino" or "jax".
        precision: which of OpenVINO's programs, as `Manifest.precision_here` says.
        threads: of one inference of OpenVINO's; None: as many as there are processors.
        inferring: runs OpenVINO's inferences; None: they run where they are asked for.
        take: gives that program; None: it is in the folder.

    Raises:
        ReleaseError: an unknown engine, one that is not installed, or a program it cannot run.
    """
    openers: dict[str, Callable[[], Embedder]] = {
        "openvino": partial(_open_openvino, take or folder.joinpath, precision, threads, inferring),
        "jax": partial(JaxEmbedder, folder),
    }
    if engine not in openers:
        raise ReleaseError(f"engine: expected one of {', '.join(ENGINES)}; found {engine!r}.")
    try:
        return openers[engine]()
    except ImportError as error:
        raise ReleaseError(
            f"engine {engine}: its package {error.name} is not installed."
        ) from error
    except Exception as error:  # each engine raises its own kinds
        raise ReleaseError(
            f"engine {engine}: expected a program it can run, with its weights; loading failed "
            f"({type(error).__name__})."
        ) from error


@cache
def openvino_core() -> Any:
    """Give the engine's one core, which is never closed.

    Each core puts a signal stack of its own in the place of the thread's and, when it is closed,
    puts back what it found. Of two that overlap, the last one puts back the stack that the first
    one has freed, and the next signal kills the process.

    It is imported without its converter, which takes half of the import, and without its
    telemetry, which forks this process to report to its maker.
    """
    # A module that is None counts as not installed; openvino does without either.
    for name in ("openvino_telemetry", "openvino.tools.ovc"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    import openvino

    return openvino.Core()


def _open_openvino(
    take: Take, precision: Precision, threads: int | None, inferring: Executor | None
) -> "OpenVinoEmbedder":
    # Nobody holds what was taken once it is read: compiling needs the most memory of all.
    model = openvino_core().read_model(take(OPENVINO_PROGRAMS[precision]))
    if any(FEATURES in output.get_names() for output in model.outputs):
        return ExplainableOpenVinoEmbedder(model, precision, threads, inferring)
    return OpenVinoEmbedder(model, precision, threads, inferring)


class OpenVinoEmbedder:
    """An ONNX program on the CPU, one photo at a time, by all its threads together.

    A second program that computes several photos side by side gives a few per cent more of them a
    second, for a third of the process's memory.
    """

    def __init__(
        self, model: Any, precision: Precision, threads: int | None, inferring: Executor | None
    ) -> None:
        core = openvino_core()
        self.precision = precision
        self.image_size = model.input(0).get_partial_shape()[1].get_length()
        self.dim = model.output(0).get_partial_shape()[1].get_length()
        # Of a known batch, memory and kernels are settled once instead of with every inference.
        model.reshape([1, self.image_size, self.image_size, 3])
        half = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            # Of what is not in int8.
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            # 0: as many as there are processors.
            "INFERENCE_NUM_THREADS": threads or 0,
            # Else each process binds its first thread to the first processor, and several on one
            # machine share that one while the others rest.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core.compile_model(model, "CPU", options)
        self._inferring = inferring
        # A request holds the buffers of one inference. The first is made by who loads the program.
        self._idle: SimpleQueue[Any] = SimpleQueue()
        self._idle.put(self._compiled.create_infer_request())

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([self._infer(photo) for photo in pixels])

    def _infer(self, photo: NDArray[np.uint8], output: str = "") -> NDArray[np.float32]:
        """Run the program on one photo and return its first output, or the named one: [1, …]."""
        if self._inferring is None:
            return self._run(photo, output)
        return self._inferring.submit(self._run, photo, output).result()

    def _run(self, photo: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            # Straight to and from the request's own memory: what nobody reads is not copied.
            request.get_input_tensor().data[0] = photo
            request.infer(share_outputs=True)
            found = request.get_tensor(output) if output else request.get_output_tensor(0)
            wanted = np.array(found.data, np.float32)
        finally:
            self._idle.put(request)
        return wanted


class ExplainableOpenVinoEmbedder(OpenVinoEmbedder):
    """One whose program gives out the feature map that it averages, and holds its head by name."""

    def __init__(
        self, model: Any, precision: Precision, threads: int | None, inferring: Executor | None
    ) -> None:
        super().__init__(model, precision, threads, inferring)
        constants = {
            node.get_friendly_name(): node.data
            for node in model.get_ops()
            if node.get_friendly_name() in (HEAD_KERNEL, HEAD_BIAS)
        }
        # The kernel stays in float16, half of its memory: it is widened where it is used.
        self._head = {name: np.array(data) for name, data in constants.items()}

    def shares(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        (features,) = self._infer(photo, FEATURES)
        channels, rows, columns = features.shape
        positions = features.reshape(channels, -1).T
        if self._head:
            positions = positions @ self._head[HEAD_KERNEL] + self._head[HEAD_BIAS]
        length = np.linalg.norm(positions.sum(axis=0))
        shares: NDArray[np.float32] = positions / max(length, np.finfo(np.float32).tiny)
        return shares.reshape(rows, columns, self.dim)


class JaxEmbedder:
    """The StableHLO program, on JAX's default device, fed from the Orbax checkpoint."""

    precision: Precision = "float"

    def __init__(self, folder: Path) -> None:
        import jax
        from jax import export

        exported = export.deserialize(bytearray((folder / EMBEDDER_STABLEHLO).read_bytes()))
        self.image_size = int(exported.in_avals[-1].shape[1])
        self.dim = int(exported.out_avals[0].shape[1])
        self._parameters = jax.device_put(restore_parameters(folder / CHECKPOINT))
        self._program = jax.jit(exported.call)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self._program(self._parameters, pixels), np.float32)


def restore_parameters(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Read a release's weights as host arrays by name, wherever they were saved."""
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        names = checkpointer.metadata(folder.absolute()).item_metadata.tree
        restore = dict.fromkeys(names, ocp.RestoreArgs(restore_type=np.ndarray))
        parameters: dict[str, NDArray[np.float32]] = checkpointer.restore(
            folder.absolute(), args=ocp.args.PyTreeRestore(restore_args=restore)
        )
    return parameters
