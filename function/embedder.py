"""Pixels to unit vectors, through the release's program.

Engine "openvino" runs embedder.int8.onnx or embedder.onnx, the latter, and what the former has in
float, in bfloat16 where the processor has that. Engine "jax" feeds
embedder.stablehlo with the weights of checkpoint/: for GPUs, and to compare. Both load threads and
must be opened after a fork, never before.
"""

import sys
import threading
from collections.abc import Callable
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
    Precision,
)


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


def import_engine(engine: str) -> None:
    """Import an engine's package, if it is there: `open_embedder` then need not.

    Raises nothing: `open_embedder` says what is wrong.
    """
    with suppress(ImportError):
        if engine == "openvino":
            openvino_core()
        elif engine == "jax":
            import jax  # noqa: F401


def open_embedder(folder: Path, engine: str, *, precision: Precision = "float") -> Embedder:
    """Load the program in a release's folder for one engine.

    Args:
        folder: the release's.
        engine: "openvino" or "jax".
        precision: which of OpenVINO's programs, as `Manifest.precision_here` says.

    Raises:
        ReleaseError: an unknown engine, one that is not installed, or a program it cannot run.
    """
    openers: dict[str, Callable[[Path], Embedder]] = {
        "openvino": partial(OpenVinoEmbedder, precision=precision),
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


class OpenVinoEmbedder:
    """An ONNX program on the CPU, one photo at a time.

    One photo alone is computed by all cores together; several at once are computed side by side,
    which gives more photos a second. Each way is a compiled program of its own. The second is
    compiled when photos first meet: it costs memory, and a cold start its time.
    """

    def __init__(self, folder: Path, *, precision: Precision = "float") -> None:
        self._core = openvino_core()
        model = self._core.read_model(folder / OPENVINO_PROGRAMS[precision])
        self.precision = precision
        self.image_size = model.input(0).get_partial_shape()[1].get_length()
        self.dim = model.output(0).get_partial_shape()[1].get_length()
        # Of a known batch, memory and kernels are settled once instead of with every inference.
        model.reshape([1, self.image_size, self.image_size, 3])
        self._alone = self._compiled(model, "LATENCY")
        self._together: _Program | None = None
        # None once nothing is left to be compiled from it.
        self._model = model if self._alone.threads > 1 else None
        self._lock = threading.Lock()
        self._under_way = 0

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([self._embed_one(photo[None]) for photo in pixels])

    def _embed_one(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            program = self._alone
            if self._under_way > 0:
                program = self._together or program
                self._compile_together()
            self._under_way += 1
        try:
            return program.run(photo)
        finally:
            with self._lock:
                self._under_way -= 1

    def _compile_together(self) -> None:
        """Start it, once; the lock is held. Until it is done, photos wait for each other."""
        model, self._model = self._model, None
        if model is not None:

            def compile_it() -> None:
                self._together = self._compiled(model, "THROUGHPUT")

            threading.Thread(target=compile_it, name="compile-together").start()

    def _compiled(self, model: Any, hint: str) -> "_Program":
        half = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {
            "PERFORMANCE_HINT": hint,
            # Of what is not in int8.
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        }
        return _Program(self._core.compile_model(model, "CPU", options))


class _Program:
    """A compiled program for several threads: a request holds the buffers of one inference."""

    def __init__(self, compiled: Any) -> None:
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self._compiled = compiled
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def run(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            vectors: NDArray[np.float32] = request.infer([np.ascontiguousarray(photo)])[0]
        finally:
            self._idle.put(request)
        return vectors


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
