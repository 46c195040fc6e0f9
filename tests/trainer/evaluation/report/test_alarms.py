"""Each sign of a training that went wrong, on curves and embeddings made to show it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.averages import summary
from trainer.evaluation.metrics import retrieval_metrics
from trainer.evaluation.report.alarms import (
    Check,
    baseline_check,
    embedding_checks,
    training_checks,
)
from trainer.evaluation.report.similarities import similarities
from trainer.evaluation.report.spectrum import spectrum


def curves(**values: Any) -> list[dict[str, Any]]:
    """A healthy run of 40 logged steps; keywords replace a curve by a constant or by a list."""
    healthy: dict[str, Any] = {
        "loss": np.linspace(2, 0.3, 40),
        "active_share": np.linspace(1, 0.6, 40),
        "embedding_rank": np.linspace(4, 11, 40),
        "input_wait": 0.03,
    }
    drawn = {
        name: np.broadcast_to(value, 40).tolist() for name, value in (healthy | values).items()
    }
    return [
        {"step": 10 * (row + 1), **{name: column[row] for name, column in drawn.items()}}
        for row in range(40)
    ]


def alarming(checks: list[Check]) -> set[str]:
    assert all(check.found and check.reason.endswith(".") for check in checks)
    return {check.name for check in checks if not check.fine}


def trained(**values: Any) -> set[str]:
    return alarming(training_checks(curves(**values), products_per_batch=16, embedding_dim=128))


def test_a_healthy_training_is_fine() -> None:
    checks = training_checks(curves(), products_per_batch=16, embedding_dim=128)
    assert len(checks) == 4
    assert alarming(checks) == set()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"active_share": np.linspace(1, 0, 40)}, "Anchors that still teach"),
        ({"loss": np.r_[np.linspace(2, 0.1, 30), np.zeros(10)]}, "Zero-loss batches"),
        ({"embedding_rank": np.linspace(4, 1.2, 40)}, "Embedding rank while training"),
        ({"embedding_rank": np.full(40, 2.0)}, "Embedding rank while training"),
        (
            {"embedding_rank": np.r_[np.linspace(4, 12, 20), np.linspace(12, 4, 20)]},
            "Embedding rank while training",
        ),
        ({"input_wait": 0.4}, "Waiting for photos"),
    ],
    ids=["idle anchors", "zero loss", "to a line", "low always", "fell", "starved"],
)
def test_each_sign_raises_its_alarm_alone(values: dict[str, Any], name: str) -> None:
    assert trained(**values) == {name}


def test_photos_of_a_product_coming_together_are_no_collapse() -> None:
    """Random networks spread photos everywhere; 16 products then settle near 15 directions."""
    assert trained(embedding_rank=np.linspace(30, 12.7, 40)) == set()


def test_a_batch_of_few_products_cannot_span_many_directions() -> None:
    """Two products span one direction: a rank of 1 is all there can be."""
    few = training_checks(curves(embedding_rank=1.0), products_per_batch=2, embedding_dim=128)
    assert alarming(few) == set()


@given(
    st.lists(
        st.fixed_dictionaries(
            {"step": st.integers(0, 999)},
            optional={
                name: st.none() | st.floats(0, 1e6)
                for name in ("loss", "active_share", "embedding_rank", "input_wait")
            },
        ),
        max_size=8,
    ),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_any_curves_can_be_looked_at(rows: list[dict[str, Any]], products: int, dim: int) -> None:
    for check in training_checks(rows, products, dim):
        assert "nan" not in check.found + check.reason


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def embedded(kind: str) -> set[str]:
    """The alarms of 40 products with 5 photos each, in 64 dimensions."""
    random = np.random.default_rng(0)
    product = np.arange(200) // 5
    centres = random.normal(size=(40, 64))
    vectors = unit(centres[product] + 0.4 * random.normal(size=(200, 64)))
    if kind == "point":
        vectors = np.tile(vectors[:1], (200, 1))
    elif kind == "corner":
        vectors = unit(vectors + 2 * vectors[:1])
    elif kind == "plane":
        vectors = unit(vectors @ np.diag([1.0, 1.0, *[1e-4] * 62]))
    itself = np.arange(200)
    metrics = retrieval_metrics(vectors, product, vectors, product, self_index=itself)
    checks = embedding_checks(
        spectrum(vectors), similarities(vectors, product), 40, summary(metrics, [""] * 200)
    )
    assert len(checks) == 3
    return alarming(checks)


def test_well_spread_embeddings_are_fine() -> None:
    assert embedded("healthy") == set()


def test_collapse_to_a_point_raises_every_alarm() -> None:
    assert embedded("point") == {
        "Effective rank of the embeddings",
        "Distance between different products",
        "Ties",
    }


def test_collapse_to_a_plane_is_seen_by_its_rank() -> None:
    assert "Effective rank of the embeddings" in embedded("plane")


def test_crowding_into_a_corner_is_seen_by_the_distances() -> None:
    assert embedded("corner") == {"Distance between different products"}


@pytest.mark.parametrize(("low", "fine"), [(0.31, True), (0.29, False)])
def test_the_whole_interval_must_be_above_the_best_baseline(low: float, fine: bool) -> None:
    figures = {"recall_at_1": 0.4, "confidence_95": {"recall_at_1": [low, 0.5]}}
    baselines = {"colour_histogram": {"recall_at_1": 0.3}, "untrained": {"recall_at_1": 0.1}}
    (check,) = baseline_check(figures, baselines)
    assert check.fine is fine
    assert "colour histogram" in check.reason
    assert baseline_check(figures, {}) == []
