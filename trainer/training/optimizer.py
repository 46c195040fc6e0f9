"""AdamW in groups: a fast head and proxies, a slow backbone, frozen stages without memory."""

from typing import Any

import jax
import optax

from trainer.losses.registry import needs_proxies
from trainer.model.parameters import is_frozen
from trainer.training.experiment import Experiment

PROXIES = "loss/proxies"
"""The name, among the parameters, of what a proxy loss learns: [classes × centres, dim]."""


def learning_rate_schedule(experiment: Experiment) -> optax.Schedule:
    """Linear warm-up, then a half cosine to 0 (Loshchilov & Hutter, ICLR 2017, equation 5).

    Step 0 already learns, at 1/warm-up of the highest rate; a run shorter than two warm-ups spends
    half of its steps rising.
    """
    warmup = min(experiment.warmup_steps, experiment.steps // 2)
    return optax.warmup_cosine_decay_schedule(
        init_value=experiment.learning_rate / (warmup + 1),
        peak_value=experiment.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(experiment.steps, 1),
    )


def make_optimizer(experiment: Experiment) -> optax.GradientTransformation:
    """Clip by the norm over all parameters, then AdamW (Loshchilov & Hutter, ICLR 2019) by group.

    The head and a loss's proxies learn faster, by their factors; frozen stages keep no moments.
    Decay is for matrices only: neither biases, nor BatchNorm's scale, nor a pooling's power.

    Returns:
        A transformation of parameters by name, as `trainer.model.parameters.to_flat` gives them.
    """
    schedule = learning_rate_schedule(experiment)
    factors = {"backbone": 1.0, "head": experiment.head_learning_rate_factor}
    if needs_proxies(experiment.loss):
        factors["proxies"] = experiment.proxy_learning_rate_factor

    def adamw(factor: float) -> optax.GradientTransformation:
        return optax.adamw(
            lambda count: factor * schedule(count),
            weight_decay=experiment.weight_decay,
            mask=_is_kernel,
        )

    def group(name: str) -> str:
        if is_frozen(name, experiment.frozen_stages):
            return "frozen"
        if name == PROXIES:
            return "proxies"
        return "head" if name.startswith("head/") else "backbone"

    return optax.chain(
        optax.clip_by_global_norm(experiment.clip_norm),
        optax.partition(
            {name: adamw(factor) for name, factor in factors.items()}
            | {"frozen": optax.set_to_zero()},
            lambda parameters: {name: group(name) for name in parameters},
        ),
    )


def _is_kernel(parameters: Any) -> Any:
    """For a tree of parameters, those of other groups cut out of it."""
    return jax.tree.map(lambda parameter: parameter.ndim > 1, parameters)
