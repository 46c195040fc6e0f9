"""Sums, means and roots over chosen entries: finite, and of finite gradient, on every choice."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


def mean_over(values: Float[Array, "*shape"], keep: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean of the kept values; 0 if none is."""
    return jnp.sum(jnp.where(keep, values, 0.0)) / jnp.maximum(jnp.sum(keep), 1)


def row_mean_over(
    values: Float[Array, "rows columns"], keep: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """Mean of each row's kept values; 0 for a row of which none is."""
    return jnp.sum(jnp.where(keep, values, 0.0), axis=1) / jnp.maximum(jnp.sum(keep, axis=1), 1)


def log_sum_exp(
    exponents: Float[Array, "rows columns"], keep: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """log Σ exp(exponents) of each row's kept entries; 0, instead of −∞, for a row of none."""
    exponents = jnp.where(keep, exponents, -jnp.inf)
    peak = lax.stop_gradient(jnp.max(exponents, axis=1, initial=-jnp.inf))
    peak = jnp.where(peak == -jnp.inf, 0.0, peak)
    total = jnp.sum(jnp.exp(exponents - peak[:, None]), axis=1)
    return jnp.where(jnp.any(keep, axis=1), peak + jnp.log(jnp.where(total == 0, 1.0, total)), 0.0)


def log_one_plus_sum_exp(
    exponents: Float[Array, "rows columns"], keep: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """log(1 + Σ exp(exponents)) of each row's kept entries; 0 for a row of none."""
    exponents = jnp.where(keep, exponents, -jnp.inf)
    # The 1 is an exponent of 0, so the peak is never below it. The peak cancels out of the sum:
    # it needs no gradient.
    peak = lax.stop_gradient(jnp.max(exponents, axis=1, initial=0.0))
    total = jnp.sum(jnp.exp(exponents - peak[:, None]), axis=1)
    return peak + jnp.log1p(jnp.expm1(-peak) + total)


def square_root(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """√values; 0 with a gradient of 0 at what rounding brought to 0 or below it."""
    # NaN must stay NaN to be noticed, so the test asks for what is not above 0.
    vanished = values <= 0
    return jnp.where(vanished, 0.0, jnp.sqrt(jnp.where(vanished, 1.0, values)))
