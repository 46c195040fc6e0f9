"""Reported figures: averages over photos and over products, pairs, intervals, categories."""

import json

import numpy as np
import pytest

from trainer.evaluation.averages import averages, summary
from trainer.evaluation.metrics import retrieval_metrics


def leave_one_out(vectors, ids, **options):
    vectors = np.asarray(vectors, np.float32)
    return retrieval_metrics(
        vectors, ids, vectors, ids, self_index=np.arange(len(vectors)), **options
    )


@pytest.fixture(scope="module")
def noisy():
    """40 products of 2 to 6 photos, partly confused, and two products of one photo."""
    random = np.random.default_rng(3)
    ids = np.concatenate([np.repeat(np.arange(40), random.integers(2, 7, size=40)), [40, 41]])
    vectors = random.normal(size=(42, 12))[ids] + 0.9 * random.normal(size=(len(ids), 12))
    return leave_one_out(vectors, ids), ids


def test_photos_count_alike_or_products_do(noisy):
    metrics, ids = noisy
    by_photo, by_product = (averages(metrics, average_over=of) for of in ("photos", "products"))
    assert by_photo["map_at_r"].pessimistic == pytest.approx(metrics.map_at_r)
    assert by_photo["recall_at_5"].pessimistic == pytest.approx(metrics.recall_at[5])
    for name in ("recall_at_1", "map_at_r", "r_precision"):
        values = metrics.pessimistic.values(name)
        expected = np.mean([values[ids == product].mean() for product in range(40)])
        assert by_product[name].pessimistic == pytest.approx(expected)
    assert by_product["map_at_r"].pessimistic != pytest.approx(metrics.map_at_r, abs=1e-4)


def test_the_interval_is_that_of_products_drawn_one_by_one(noisy):
    metrics, ids = noisy
    random = np.random.default_rng(0)
    values = metrics.pessimistic.values("map_at_r")
    means = []
    for _ in range(3000):
        drawn = random.integers(40, size=40)
        means.append(np.concatenate([values[ids == product] for product in drawn]).mean())
    found = averages(metrics, ("map_at_r",), resamples=3000)["map_at_r"]
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.008)
    assert found.low < found.pessimistic == found.optimistic < found.high


def test_ties_open_every_figure_and_the_interval_spans_both_ends():
    metrics = leave_one_out(np.ones((12, 3)), np.arange(12) // 3)
    for average in averages(metrics).values():
        # All photos alike: the two others of a product may stand anywhere among eleven.
        assert (average.low, average.high) == (average.pessimistic, average.optimistic)
    assert metrics.pessimistic.first_rank.tolist() == [10] * 12
    assert metrics.optimistic.first_rank.tolist() == [1] * 12
    assert averages(metrics, ("recall_at_9", "recall_at_10"))["recall_at_9"].pessimistic == 0.0
    assert averages(metrics, ("recall_at_9", "recall_at_10"))["recall_at_10"].pessimistic == 1.0


def test_one_product_has_a_figure_and_no_interval():
    metrics = leave_one_out(np.eye(3), [0, 0, 1])
    found = averages(metrics, ("recall_at_1",))["recall_at_1"]
    assert (found.pessimistic, found.optimistic) == (0.0, 1.0)
    assert np.isnan([found.low, found.high]).all()


def test_a_summary_is_json_and_null_where_there_is_nothing():
    metrics = leave_one_out(np.eye(3), [0, 1, 2])
    found = json.loads(json.dumps(summary(metrics, ["", "", ""]), allow_nan=False))
    assert (found["recall_at_1"], found["optimistic"]["recall_at_1"]) == (None, None)
    assert found["confidence_95"]["map_at_r"] == [None, None]
    assert (found["queries"], found["products"], found["by_category"]) == (0, 0, [])


def test_categories_average_their_own_queries_before_the_whole_gallery(noisy):
    metrics, ids = noisy
    category = np.array(["even", "odd"])[ids % 2]
    category[ids == 3] = ""
    found = summary(metrics, category.tolist())
    assert [row["category"] for row in found["by_category"]] == ["even", "odd"]
    for row in found["by_category"]:
        own = metrics.counted & (category == row["category"])
        assert row["queries"] == own.sum()
        assert row["products"] == (20 if row["category"] == "even" else 19)
        assert row["recall_at_1"] == pytest.approx((metrics.first_rank[own] == 1).mean())
        low, high = row["confidence_95"]["recall_at_1"]
        assert low < row["recall_at_1"] < high
    assert found["queries"] == len(ids) - 2
    assert found["products"] == 40
    assert found["per_product"]["map_at_r"] != found["map_at_r"]
