"""Retrieval metrics as they are reported: as pairs where ties leave them open, with confidence
intervals, over photos, over products and by category."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64

from trainer.evaluation.bootstrap import RESAMPLES, percentile_interval, resampled_means
from trainer.evaluation.metrics import QueryMetrics, RetrievalMetrics

type Averaging = Literal["photos", "products"]


@dataclass(frozen=True)
class Average:
    """An average over queries; all NaN where there is no query."""

    pessimistic: float
    """With photos of other products first among ties."""
    optimistic: float
    """With them last; equal to `pessimistic` where no ties matter."""
    low: float
    """The lower end of the 95 % confidence interval; NaN for fewer than two products."""
    high: float
    """Its upper end. The interval is of the pessimistic figure below and the optimistic above."""


def averages(
    metrics: RetrievalMetrics,
    names: Sequence[str] | None = None,
    *,
    average_over: Averaging = "photos",
    chosen: Bool[np.ndarray, " queries"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Average]:
    """Average the queries' metrics, with intervals from resampled products (see `bootstrap`).

    The interval is about other products of the same kind before the same gallery: each query's
    ranking is taken as it is. With few products, under some thirty, it is too narrow.

    Args:
        metrics: what `retrieval_metrics` gave.
        names: "recall_at_K" for any K, "map_at_r", "r_precision"; None: those of `metrics`.
        average_over: "photos": each query counts the same, as the field reports. "products": each
            product does, whatever the number of its queries: the mean over products of the mean
            over their queries, the macro-average of Manning, Raghavan, Schütze: Introduction to
            Information Retrieval (2008), section 13.6.
        chosen: `[queries]`, the queries to average over; None: all. Those with nothing to find are
            left out in any case.
        resamples: draws of the bootstrap.
        seed: of the draws.
    """
    names = metrics.names if names is None else tuple(names)
    counted = metrics.counted if chosen is None else metrics.counted & chosen
    if not counted.any():
        return {name: Average(*[float("nan")] * 4) for name in names}
    product = np.unique(metrics.product[counted], return_inverse=True)[1]
    photos = np.bincount(product).astype(np.float64)

    def totals(of: QueryMetrics) -> Float64[np.ndarray, "products figures"]:
        table = np.empty((photos.size, len(names)))
        for column, name in enumerate(names):
            table[:, column] = np.bincount(product, of.values(name)[counted])
        return table if average_over == "photos" else table / photos[:, None]

    weights = photos if average_over == "photos" else np.ones_like(photos)
    both = np.concatenate([totals(metrics.pessimistic), totals(metrics.optimistic)], axis=1)
    pessimistic, optimistic = np.split(both.sum(axis=0) / weights.sum(), 2)
    low = high = np.full(len(names), np.nan)
    if photos.size > 1:
        means = resampled_means(both, weights, resamples=resamples, seed=seed)
        low, high = percentile_interval(means[:, : len(names)], means[:, len(names) :])
    values = np.stack([pessimistic, optimistic, low, high], axis=1).tolist()
    return {name: Average(*row) for name, row in zip(names, values, strict=True)}


def summary(metrics: RetrievalMetrics, categories: Sequence[str]) -> dict[str, Any]:
    """All that is reported of one retrieval, ready for JSON; what is not known is None.

    Args:
        metrics: what `retrieval_metrics` gave.
        categories: each query's category (super-class), empty where it has none.

    Returns:
        - what `RetrievalMetrics.to_dict` gives: the pessimistic figures and the counts.
        - products: how many the averaged queries show.
        - optimistic: the figures by name, with ties decided for the model.
        - confidence_95: by name, [low, high].
        - per_product: the figures with each product counting the same: pessimistic, optimistic and
          confidence_95, as above.
        - by_category: for each category of the averaged queries, by name: category, queries,
          products, recall_at_1 and map_at_r, and the same two in optimistic and confidence_95. All
          search the whole gallery.
    """
    of_categories = np.array(categories, dtype=np.str_)
    by_category = []
    for category in sorted(set(of_categories[metrics.counted].tolist()) - {""}):
        chosen = metrics.counted & (of_categories == category)
        found = averages(metrics, ("recall_at_1", "map_at_r"), chosen=chosen)
        counts = {"category": category, "queries": int(chosen.sum())}
        by_category.append({**counts, "products": _products(metrics, chosen), **_flat(found)})
    per_product = averages(metrics, average_over="products")
    return {
        **metrics.to_dict(),
        "products": _products(metrics, metrics.counted),
        **_bounds(averages(metrics)),
        "per_product": _flat(per_product),
        "by_category": by_category,
    }


def _products(metrics: RetrievalMetrics, chosen: Bool[np.ndarray, " queries"]) -> int:
    return len(np.unique(metrics.product[chosen]))


def _flat(found: dict[str, Average]) -> dict[str, Any]:
    return {name: _known(average.pessimistic) for name, average in found.items()} | _bounds(found)


def _bounds(found: dict[str, Average]) -> dict[str, Any]:
    return {
        "optimistic": {name: _known(average.optimistic) for name, average in found.items()},
        "confidence_95": {
            name: [_known(average.low), _known(average.high)] for name, average in found.items()
        },
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
