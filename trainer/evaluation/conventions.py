"""The same vectors under the conventions of others, beside ours.

Figures of different papers and libraries bear one name and mean different things. Each convention
here is written from its documentation, and a test holds it against values that the library gave, or
for the papers against counting (tests/trainer/evaluation/*_values.json). What none of them fixes is
the order of ties: each library leaves it to its sort, so that its figure is one of those between
our two ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int

from trainer.evaluation.retrieval import Ids, rank_by_product

DEPTHS = (1, 10)

type Values = dict[str, Float64[np.ndarray, " queries"]]
type Ends = list[float | None]
"""Pessimistic and optimistic."""


@dataclass(frozen=True)
class Convention:
    """How queries are scored from the ranks of their relevant photos, and averaged."""

    label: str
    rules: str
    """Where it differs, for people."""
    values: Callable[[Int[np.ndarray, " queries"], Int[np.ndarray, "queries width"]], Values]
    """From how many photos are relevant (self left out) and their ranks, nearest first, past the
    last without meaning."""
    unanswerable: Literal["left out", "counted"]
    """What becomes of queries with nothing to find."""
    average_over: Literal["queries", "products"] = "queries"

    def averages(
        self,
        values: Values,
        relevant: Int[np.ndarray, " queries"],
        product: Int[np.ndarray, " queries"],
    ) -> dict[str, float | None]:
        """Average over queries, or over products of the average over their queries.

        None where no query counts, or where the convention divides zero by zero for one of them.
        """
        kept = relevant > 0 if self.unanswerable == "left out" else np.full(relevant.shape, True)
        return {name: self._average(value[kept], product[kept]) for name, value in values.items()}

    def _average(
        self, values: Float64[np.ndarray, " kept"], product: Int[np.ndarray, " kept"]
    ) -> float | None:
        if not values.size or np.isnan(values).any():
            return None
        if self.average_over == "queries":
            return float(values.mean())
        number = np.unique(product, return_inverse=True)[1]
        return float((np.bincount(number, values) / np.bincount(number)).mean())


def _found(
    relevant: Int[np.ndarray, " queries"],
    ranks: Int[np.ndarray, "queries width"],
    depth: int | Int[np.ndarray, "queries 1"],
) -> Float64[np.ndarray, "queries width"]:
    """n where the nth relevant photo is among the `depth` nearest, else 0."""
    nth = np.arange(1.0, ranks.shape[1] + 1)
    return np.where((nth <= relevant[:, None]) & (ranks <= depth), nth, 0.0)


def _recalls(
    relevant: Int[np.ndarray, " queries"], ranks: Int[np.ndarray, "queries width"]
) -> Values:
    """1 for a query with a relevant photo among the k nearest, else 0; 0 with nothing to find."""
    return {
        f"recall_at_{k}": _found(relevant, ranks, k).any(axis=1).astype(np.float64) for k in DEPTHS
    }


def _musgrave(
    relevant: Int[np.ndarray, " queries"], ranks: Int[np.ndarray, "queries width"]
) -> Values:
    """R@1, R-precision and MAP@R: Musgrave et al., ECCV 2020, section 3.2."""
    found, r = _found(relevant, ranks, relevant[:, None]), np.maximum(relevant, 1)
    return {
        "recall_at_1": _recalls(relevant, ranks)["recall_at_1"],
        "r_precision": (found > 0).sum(axis=1) / r,
        "map_at_r": (found / ranks).sum(axis=1) / r,
    }


def _lookalike(
    relevant: Int[np.ndarray, " queries"], ranks: Int[np.ndarray, "queries width"]
) -> Values:
    return _recalls(relevant, ranks) | _musgrave(relevant, ranks)


def _open_metric_learning(
    relevant: Int[np.ndarray, " queries"], ranks: Int[np.ndarray, "queries width"]
) -> Values:
    """CMC@k, precision@k over min(k, R), MAP@k over the relevant photos found among the k."""
    values = _recalls(relevant, ranks)
    for k in DEPTHS:
        found = _found(relevant, ranks, k)
        hits = (found > 0).sum(axis=1)
        attainable = np.where(relevant > 0, np.minimum(relevant, k), np.nan)
        values[f"precision_at_{k}"] = hits / attainable
        values[f"map_at_{k}"] = (found / ranks).sum(axis=1) / np.maximum(hits, 1)
    return values


CONVENTIONS = {
    "lookalike": Convention(
        "lookalike",
        "Self removed by index. Queries with nothing to find are left out. MAP@R over R.",
        _lookalike,
        "left out",
    ),
    "pytorch_metric_learning": Convention(
        "pytorch-metric-learning 2.9",
        "AccuracyCalculator, k=max_bin_count. As ours, and the ties as FAISS sorts them.",
        _musgrave,
        "left out",
    ),
    "pytorch_metric_learning_avg_of_avgs": Convention(
        "  avg_of_avgs",
        "Each product counts the same, whatever the number of its photos.",
        _musgrave,
        "left out",
        "products",
    ),
    "open_metric_learning": Convention(
        "open-metric-learning 4.0",
        "Self removed by index. Queries with nothing to find count 0 in R@k (CMC) and MAP@k, and "
        "make precision@k undefined (0/0). Precision@k over min(k, R); MAP@k over the relevant "
        "photos among the k, not over R: one that is not found costs nothing.",
        _open_metric_learning,
        "counted",
    ),
    "multi_similarity_papers": Convention(
        "papers on SOP",
        "R@k alone, over all queries (Oh Song et al., CVPR 2016, section 5; Wang et al., CVPR "
        "2019): one with nothing to find counts 0. SOP has none. Neither says what of ties.",
        _recalls,
        "counted",
    ),
}
"""By name, ours first. Of the papers we know what they say, not what their programs do."""


def score_by_conventions(
    queries: Float[np.ndarray, "queries dim"],
    query_ids: Ids,
    gallery: Float[np.ndarray, "gallery dim"],
    gallery_ids: Ids,
    *,
    self_index: Int[np.ndarray, " queries"] | None = None,
    block: int = 512,
) -> dict[str, dict[str, Ends]]:
    """Score one ranking under each of `CONVENTIONS`.

    Vectors are compared by cosine: L2-normalise them before another library, which compares by
    Euclidean distance, is to agree.

    Args: as `trainer.evaluation.metrics.retrieval_metrics`.

    Returns:
        By convention and figure ("recall_at_1", "recall_at_10", "r_precision", "map_at_r",
        "precision_at_1", "precision_at_10", "map_at_1", "map_at_10"): [pessimistic, optimistic],
        None where there is no such average; no figures where there are no queries. Any order of
        the ties gives a figure between the two, but for open-metric-learning's MAP@k: that can rise
        when a relevant photo falls out of the k nearest.
    """
    product, blocks = rank_by_product(
        queries, query_ids, gallery, gallery_ids, self_index=self_index, block=block
    )
    relevant = np.zeros(len(queries), np.int64)
    ends: tuple[dict[str, Values], dict[str, Values]] = ({}, {})
    for ranked in blocks:
        relevant[ranked.queries] = ranked.relevant
        for found, ranks in zip(ends, (ranked.pessimistic, ranked.optimistic), strict=True):
            for name, convention in CONVENTIONS.items():
                values = found.setdefault(name, {})
                for figure, value in convention.values(ranked.relevant, ranks).items():
                    values.setdefault(figure, np.zeros(len(queries)))[ranked.queries] = value
    pessimistic, optimistic = (
        {
            name: convention.averages(found.get(name, {}), relevant, product)
            for name, convention in CONVENTIONS.items()
        }
        for found in ends
    )
    return {
        name: {
            figure: [value, optimistic[name][figure]] for figure, value in pessimistic[name].items()
        }
        for name in CONVENTIONS
    }
