"""Pixels to unit vectors, through the release's program.

Engine "openvino" runs embedder.onnx, in bfloat16 where the processor has it. Engine "jax" feeds
embedder.stablehlo with the weights of checkpoint/: for GPUs, and to compare. Both load threads and
must be opened after a fork, never before.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import ReleaseError
from .manifest import CHECKPOINT, EMBEDDER_ONNX, EMBEDDER_STABLEHLO, ENGINES


@runtime_checkable
class Embedder(Protocol):
    """The network as one function. Safe to use from several threads.

    Attributes:
        dim: length of its vectors.
        image_size: side of the square photo it takes, in pixels.
    """

    dim: int
    image_size: int

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors [n, dim] for RGB pixels uint8 [n, image_size, image_size, 3]."""


def import_engine(engine: str) -> None:
    """Import an engine's package, if it is there: `open_embedder` then need not.

    Raises nothing: `open_embedder` says what is wrong.
    """
    with suppress(ImportError):
        if engine == "openvino":
            _import_openvino()
        elif engine == "jax":
            import jax  # noqa: F401


def open_embedder(folder: Path, engine: str) -> Embedder:
    """Load the program in a release's folder for one engine.

    Raises:
        ReleaseError: an unknown engine, one that is not installed, or a program it cannot run.
    """
    openers: dict[str, Callable[[Path], Embedder]] = {
        "openvino": OpenVinoEmbedder,
        "jax": JaxEmbedder,
    }
    if engine not in openers:
        raise ReleaseError(f"engine: expected one of {', '.join(ENGINES)}; found {engine!r}.")
    try:
        return openers[engine](folder)
    except ImportError as error:
        raise ReleaseError(
            f"engine {engine}: its package {error.name} is not installed."
        ) from error
    except Exception as error:  # each engine raises its own kinds
        raise ReleaseError(
            f"engine {engine}: expected a program it can run, with its weights; loading failed "
            f"({type(error).__name__})."
        ) from error


def _import_openvino() -> Any:
    """Import the engine without its telemetry: that forks this process to report to its maker."""
    # A module that is None counts as not installed; openvino then takes its own stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class OpenVinoEmbedder:
    """The ONNX program on the CPU."""

    def __init__(self, folder: Path) -> None:
        openvino = _import_openvino()
        core = openvino.Core()
        model = core.read_model(folder / EMBEDDER_ONNX)
        self.image_size = model.input(0).get_partial_shape()[1].get_length()
        self.dim = model.output(0).get_partial_shape()[1].get_length()
        half = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._compiled = core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            },
        )
        # A request holds one inference's buffers, so each serves one thread at a time.
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            vectors: NDArray[np.float32] = request.infer([np.ascontiguousarray(pixels)])[0]
        finally:
            self._idle.put(request)
        return vectors


class JaxEmbedder:
    """The StableHLO program, on JAX's default device, fed from the Orbax checkpoint."""

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
