"""The model's arrays by name: what checkpoints, importers and exported programs exchange.

Names are paths through the modules: `stem/conv/kernel`, `stages/0/2/branch/1/norm/scale`,
`stages/0/0/shortcut/norm/mean`, `pooling/power`, `head/kernel`. All float32; kernels are HWIO.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from trainer.errors import WeightsError
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder

Shapes = Mapping[str, tuple[int, ...]]


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of the model, without making one."""
    _, state = _abstract(config)
    return _shapes(state)


def to_flat(model: nnx.Module) -> dict[str, jax.Array]:
    """Parameters and BatchNorm statistics by name, of a model or of a part of one."""
    return {_name(path): variable[...] for path, variable in nnx.to_flat_state(nnx.state(model))}


def from_flat(config: ModelConfig, flat: Mapping[str, ArrayLike]) -> Embedder:
    """The model with these arrays, in inference mode.

    Raises `WeightsError` that lists every missing, unexpected and misshapen array.
    """
    graph, state = _abstract(config)
    check_shapes(_shapes(state), {name: np.shape(value) for name, value in flat.items()})
    return nnx.merge(
        graph,
        nnx.from_flat_state(
            (path, variable.replace(jnp.asarray(flat[_name(path)], jnp.float32)))
            for path, variable in nnx.to_flat_state(state)
        ),
    )


def update_flat(model: Embedder, flat: Mapping[str, ArrayLike]) -> None:
    """Overwrites the named arrays of a model; names and shapes must be the model's."""
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        if (name := _name(path)) in flat:
            variable[...] = jnp.asarray(flat[name], jnp.float32)


def is_frozen(name: str, frozen_stages: int) -> bool:
    """Whether `frozen_stages` keeps the array of this name as it is."""
    room, _, rest = name.partition("/")
    if room == "stages":
        return int(rest.partition("/")[0]) < frozen_stages
    return room == "stem" and frozen_stages > 0


def check_shapes(expected: Shapes, found: Shapes, *, source: str = "the weights") -> None:
    """Raises `WeightsError` unless names and shapes agree, and lists each that does not."""
    problems = [f"missing {name} {expected[name]}" for name in expected if name not in found]
    problems += [f"unexpected {name} {found[name]}" for name in found if name not in expected]
    problems += [
        f"mismatched {name}: expected {expected[name]}, found {found[name]}"
        for name in expected
        if name in found and tuple(expected[name]) != tuple(found[name])
    ]
    if problems:
        raise WeightsError(
            f"{source} do not fit the model, {len(problems)} of {len(expected)} arrays:\n  "
            + "\n  ".join(problems)
        )


def _abstract(config: ModelConfig) -> tuple[nnx.GraphDef[Embedder], nnx.State[Any, Any]]:
    return nnx.split(nnx.eval_shape(lambda: Embedder(config, rngs=nnx.Rngs(0))))


def _shapes(state: nnx.State[Any, Any]) -> dict[str, tuple[int, ...]]:
    return {_name(path): variable.shape for path, variable in nnx.to_flat_state(state)}


def _name(path: tuple[object, ...]) -> str:
    return "/".join(map(str, path))
