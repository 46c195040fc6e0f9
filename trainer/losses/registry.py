"""The losses by name, with the options that each takes: what experiments choose from."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from jaxtyping import Array, Float, Integer

from trainer.errors import LookalikeError
from trainer.losses.arcface import arcface_loss
from trainer.losses.circle import circle_loss
from trainer.losses.contrastive import contrastive_loss
from trainer.losses.multi_similarity import multi_similarity_loss
from trainer.losses.n_pair import n_pair_loss
from trainer.losses.nt_xent import nt_xent_loss
from trainer.losses.proxy_anchor import proxy_anchor_loss
from trainer.losses.proxy_nca import proxy_nca_loss
from trainer.losses.recall_at_k import recall_at_k_loss
from trainer.losses.references import References
from trainer.losses.smooth_ap import smooth_ap_loss
from trainer.losses.supcon import supcon_loss
from trainer.losses.triplet import triplet_batch_hard_loss, triplet_semi_hard_loss

Option = float | int | None
Loss = Callable[
    [Float[Array, "batch dim"], Integer[Array, " batch"], References | None], Float[Array, ""]
]

_PAIR_LOSSES: Mapping[str, Callable[..., Float[Array, ""]]] = {
    "multi_similarity": multi_similarity_loss,
    "contrastive": contrastive_loss,
    "triplet_batch_hard": triplet_batch_hard_loss,
    "triplet_semi_hard": triplet_semi_hard_loss,
    "n_pair": n_pair_loss,
    "nt_xent": nt_xent_loss,
    "supcon": supcon_loss,
    "circle": circle_loss,
    "smooth_ap": smooth_ap_loss,
    "recall_at_k": recall_at_k_loss,
}
_PROXY_LOSSES: Mapping[str, Callable[..., Float[Array, ""]]] = {
    "proxy_anchor": proxy_anchor_loss,
    "proxy_nca": proxy_nca_loss,
    "arcface": arcface_loss,
}


def names() -> tuple[str, ...]:
    """The losses that there are: those of pairs, then those of proxies."""
    return (*_PAIR_LOSSES, *_PROXY_LOSSES)


def needs_proxies(name: str) -> bool:
    """Whether the loss compares with trainable proxies, as references, and with nothing else.

    Raises:
        LookalikeError: there is no loss of this name.
    """
    _function(name)
    return name in _PROXY_LOSSES


def default_options(name: str) -> dict[str, Option]:
    """The options that a loss takes, with the defaults of its signature.

    Raises:
        LookalikeError: there is no loss of this name.
    """
    return {option.name: option.default for option in _options(name)}


def loss_function(name: str, options: Mapping[str, Option] | None = None) -> Loss:
    """Return `(embeddings, labels, references) -> scalar`, jitted for these options.

    Args:
        name: one of `names()`.
        options: those that differ from `default_options(name)`. Whole numbers do for floats.

    Raises:
        LookalikeError: there is no loss of this name, or the loss has no such option, or not of
            this type; the message lists what there is.
    """
    known = {option.name: option for option in _options(name)}
    chosen = {}
    for option, value in (options or {}).items():
        if option not in known:
            raise LookalikeError(
                f"the loss {name} has no option {option!r}; it has {_listed(name)}"
            )
        chosen[option] = _of_type(name, known[option], value)
    return partial(_function(name), **chosen)


def _function(name: str) -> Callable[..., Float[Array, ""]]:
    losses = {**_PAIR_LOSSES, **_PROXY_LOSSES}
    if name not in losses:
        raise LookalikeError(f"there is no loss {name!r}; choose one of {', '.join(names())}")
    return losses[name]


def _options(name: str) -> list[inspect.Parameter]:
    parameters = inspect.signature(_function(name)).parameters.values()
    return [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def _of_type(name: str, option: inspect.Parameter, value: Any) -> Option:
    """The value as the option's type has it: jit compiles once for 1 and 1.0, and types agree."""
    types = get_args(option.annotation) or (option.annotation,)
    if value is None and type(None) in types:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if int in types else float(value)
    if isinstance(value, float) and math.isfinite(value) and float in types:
        return value
    expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in types)
    raise LookalikeError(
        f"the option {option.name} of the loss {name} is a finite {expected}; found {value!r}. "
        f"Defaults: {_listed(name)}"
    )


def _listed(name: str) -> str:
    return ", ".join(f"{option}={value}" for option, value in default_options(name).items())
