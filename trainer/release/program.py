"""The serving programs: the embedder for OpenVINO (ONNX) and for JAX (StableHLO).

Both map uint8 pixels [batch, size, size, 3], RGB, any batch, to float32 rows of length 1.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float, UInt8

from function.manifest import GoldenInfo, Int8Info, ModelInfo, Precision
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, parameter_shapes
from trainer.release.onnx_graph import onnx_model

STABLEHLO_PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True)
class Program:
    """The exported network.

    Attributes:
        model: what the manifest says about it.
        golden: of the float program: its least agreement with Flax.
        int8: what was measured of an int8 program; None if none was made.
    """

    model: ModelInfo
    golden: GoldenInfo
    int8: Int8Info | None = None

    @property
    def precision(self) -> Precision:
        """Of what embeds the catalogue."""
        return "int8" if self.int8 is not None and self.int8.chosen else "float"


def export_onnx(model: Embedder, path: Path, *, image_size: int) -> None:
    """Writes the program with its weights inside, BatchNorm folded, in inference mode."""
    path.write_bytes(onnx_model(model, image_size=image_size).SerializeToString())


def export_stablehlo(model: Embedder, path: Path, *, image_size: int) -> None:
    """Writes `program(parameters, pixels)` by `jax.export`, without the weights.

    `parameters` is the dict of `to_flat(model)`: every array of the model by name, float32. One
    file serves CPUs, CUDA GPUs and TPUs. Read it by `jax.export.deserialize(…).call`.
    """
    config = model.config

    def program(
        parameters: dict[str, Array], pixels: UInt8[Array, "batch height width 3"]
    ) -> Float[Array, "batch dim"]:
        return from_flat(config, parameters)(pixels)

    (batch,) = export.symbolic_shape("batch")
    parameters = {
        name: jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]
        for name, shape in parameter_shapes(config).items()
    }
    pixels = jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
        (batch, image_size, image_size, 3), jnp.uint8
    )
    exported = export.export(jax.jit(program), platforms=STABLEHLO_PLATFORMS)(parameters, pixels)
    path.write_bytes(exported.serialize())
