"""Retrieval metrics against a worked example, a naive ranking, ties, copies and empty cases."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import config

from trainer.errors import LookalikeError
from trainer.evaluation import retrieval
from trainer.evaluation.counting import count_ahead, count_ahead_both_ways
from trainer.evaluation.metrics import retrieval_metrics
from trainer.evaluation.ranking import can_rank_leave_one_out


def at_degrees(*degrees):
    angles = np.radians(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


PHOTOS = at_degrees(0, 10, 50, 22, 60, 95)
PRODUCTS = ["A", "A", "A", "B", "B", "C"]


def leave_one_out(vectors, ids, **options):
    vectors = np.asarray(vectors, np.float32)
    return retrieval_metrics(
        vectors, ids, vectors, ids, self_index=np.arange(len(vectors)), **options
    )


def naive(queries, query_ids, gallery, gallery_ids, self_index, ks, *, relevant_first=False):
    """Sort every row of the full float64 matrix, with the ties in an order that is asked for."""
    queries, gallery = np.asarray(queries, np.float64), np.asarray(gallery, np.float64)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, gallery)]
    scores = unit[0] @ unit[1].T
    recall, precision, average_precision = {k: [] for k in ks}, [], []
    for query, own_id in enumerate(query_ids):
        others = [row for row in range(len(gallery)) if row != self_index[query]]
        relevant = {row for row in others if gallery_ids[row] == own_id}
        if not relevant:
            continue
        ranking = sorted(
            others,
            key=lambda row: (-round(scores[query, row], 6), (row in relevant) != relevant_first),
        )
        hits = [row in relevant for row in ranking]
        for k in ks:
            recall[k].append(any(hits[:k]))
        r = len(relevant)
        precision.append(sum(hits[:r]) / r)
        average_precision.append(sum(sum(hits[: i + 1]) / (i + 1) for i in range(r) if hits[i]) / r)
    means = {f"recall_at_{k}": np.mean(recall[k]) for k in ks}
    return means | {"r_precision": np.mean(precision), "map_at_r": np.mean(average_precision)}


def naive_ranking(scores, own, order):
    """First rank, R-precision and average precision of one query, its ties in the order given."""
    ranking = sorted(range(len(scores)), key=lambda row: (-round(scores[row], 6), order[row]))
    hits = [own[row] for row in ranking]
    r = sum(own)
    precisions = [sum(hits[: i + 1]) / (i + 1) for i in range(r) if hits[i]]
    return hits.index(True) + 1, sum(hits[:r]) / r, sum(precisions) / r


def test_leave_one_out_worked_by_hand():
    # Nearest first, by angle: A0: A10 B22 A50 …; A10: A0 B22 A50 …; A50: B60 B22 A10 C95 A0;
    # B22: A10 A0 A50 B60 C95; B60: A50 C95 B22 …; C95 has no other photo of its product.
    metrics = leave_one_out(PHOTOS, PRODUCTS, ks=(1, 2, 3, 4, 100))
    assert metrics.first_rank.tolist() == [1, 1, 3, 4, 3, 0]
    assert metrics.to_dict() == pytest.approx(
        {
            "recall_at_1": 2 / 5,
            "recall_at_2": 2 / 5,
            "recall_at_3": 4 / 5,
            "recall_at_4": 1.0,
            "recall_at_100": 1.0,
            "map_at_r": (1 / 2 + 1 / 2 + 0 + 0 + 0) / 5,
            "r_precision": (1 / 2 + 1 / 2 + 0 + 0 + 0) / 5,
            "queries": 5,
            "queries_without_relevant": 1,
            "gallery": 6,
        }
    )


def test_query_to_gallery_worked_by_hand():
    # A at 17 degrees: B22 A10 A0 | A50 …, with R = 3: places 2 and 3 of 3 are right.
    metrics = retrieval_metrics(at_degrees(17, 40), ["A", "unknown"], PHOTOS, PRODUCTS)
    assert metrics.r_precision == pytest.approx(2 / 3)
    assert metrics.map_at_r == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert metrics.recall_at == {1: 0.0, 5: 1.0, 10: 1.0, 100: 1.0}
    assert (metrics.queries, metrics.queries_without_relevant) == (1, 1)


# Directions on a small grid: many copies and ties, and no two cosines within 1e-4 but equal ones.
GRID = st.tuples(*[st.integers(-2, 2)] * 3).filter(any)
PHOTO = st.tuples(GRID, st.integers(0, 3))


@settings(max_examples=150)
@given(
    queries=st.lists(PHOTO, min_size=5, max_size=5),
    gallery=st.lists(PHOTO, min_size=9, max_size=9),
    removed=st.lists(st.integers(-1, 8), min_size=5, max_size=5),
    block=st.sampled_from([2, 1024]),
)
def test_is_the_naive_ranking_with_copies_and_ties(queries, gallery, removed, block):
    (query_vectors, query_ids), (gallery_vectors, gallery_ids) = (
        (np.array([v for v, _ in photos], np.float32), np.array([i for _, i in photos]))
        for photos in (queries, gallery)
    )
    arguments = query_vectors, query_ids, gallery_vectors, gallery_ids
    metrics = retrieval_metrics(*arguments, self_index=np.array(removed), block=block)
    if not metrics.queries:
        return
    for relevant_first, found in ((False, metrics.pessimistic), (True, metrics.optimistic)):
        expected = naive(*arguments, removed, (1, 2, 5, 100), relevant_first=relevant_first)
        for name, value in expected.items():
            assert found.values(name)[metrics.counted].mean() == pytest.approx(value), name


@settings(max_examples=40)
@given(
    photos=st.lists(PHOTO, min_size=9, max_size=9),
    block=st.sampled_from([4, 1024]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_order_of_the_ties_lies_between_the_two_ends_and_some_orders_at_them(
    photos, block, seed
):
    vectors, ids = (np.array(column) for column in zip(*photos, strict=True))
    metrics = leave_one_out(vectors, ids, block=block)
    random = np.random.default_rng(seed)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for query in np.flatnonzero(metrics.counted):
        others = np.arange(len(ids)) != query
        scores, own = unit[others] @ unit[query], ids[others] == ids[query]
        low, high = (
            (of.first_rank[query], of.r_precision[query], of.average_precision[query])
            for of in (metrics.pessimistic, metrics.optimistic)
        )
        assert naive_ranking(scores, own, own) == pytest.approx(low)
        assert naive_ranking(scores, own, ~own) == pytest.approx(high)
        for _ in range(3):
            rank, *shares = naive_ranking(scores, own, random.permutation(own.size))
            assert high[0] <= rank <= low[0]
            for share, least, most in zip(shares, low[1:], high[1:], strict=True):
                assert least - 1e-12 <= share <= most + 1e-12


@pytest.mark.parametrize("block", [1, 7, 64, 1024])
def test_many_random_photos_equal_the_naive_ranking_at_any_block_size(block):
    random = np.random.default_rng(0)
    ids = random.integers(0, 25, size=150)
    vectors = (random.normal(size=(25, 16))[ids] + random.normal(size=(150, 16))).astype(np.float32)
    metrics = leave_one_out(vectors, ids, block=block).to_dict()
    for name, expected in naive(vectors, ids, vectors, ids, range(150), (1, 5, 10, 100)).items():
        assert metrics[name] == pytest.approx(expected, abs=1e-12), name


@pytest.mark.parametrize("block", [5, 64, 1024])
def test_half_of_the_products_give_the_ranks_that_all_of_them_give(block, monkeypatch):
    random = np.random.default_rng(4)
    ids = np.concatenate([random.integers(0, 30, size=160), np.repeat([30, 31], [20, 1])])
    vectors = random.normal(size=(32, 8))[ids] + random.normal(size=(181, 8))
    vectors[50:60] = vectors[90:100]
    half = leave_one_out(vectors, ids, block=block)
    monkeypatch.setattr(retrieval, "can_rank_leave_one_out", lambda classes: False)
    full = leave_one_out(vectors, ids, block=block)
    for one, other in ((half.pessimistic, full.pessimistic), (half.optimistic, full.optimistic)):
        np.testing.assert_array_equal(one.first_rank, other.first_rank)
        np.testing.assert_allclose(one.average_precision, other.average_precision)
        np.testing.assert_allclose(one.r_precision, other.r_precision)
    assert (half.pessimistic.first_rank != half.optimistic.first_rank).any()


def test_a_class_too_large_for_half_of_the_products_takes_them_all():
    assert can_rank_leave_one_out(np.arange(100_000) // 100)
    assert not can_rank_leave_one_out(np.arange(100_000) // 50_000)


def test_the_query_is_removed_by_its_index_and_its_copies_stay():
    copies = np.repeat(at_degrees(0, 90), 2, axis=0)
    assert leave_one_out(copies, ["A", "A", "B", "B"]).recall_at[1] == 1.0
    # Each photo also has a copy in the other product, which stands before the relevant one.
    assert leave_one_out(copies, ["A", "B", "A", "B"]).recall_at[1] == 0.0


@pytest.mark.parametrize("block", [3, 1024])
def test_one_point_for_all_photos_earns_nothing(block):
    random = np.random.default_rng(1)
    vectors = np.tile(random.normal(size=2048), (40, 1)) * random.uniform(0.1, 9, size=(40, 1))
    metrics = leave_one_out(vectors, np.arange(40) // 2, block=block)
    assert metrics.first_rank.tolist() == [39] * 40
    assert metrics.map_at_r == 0.0


def test_the_order_of_the_rows_does_not_matter():
    random = np.random.default_rng(2)
    ids = random.integers(0, 6, size=40)
    vectors = random.integers(-1, 2, size=(40, 3)) + np.array([0, 0, 0.5])
    expected = leave_one_out(vectors, ids).to_dict()
    for _ in range(3):
        order = random.permutation(40)
        assert leave_one_out(vectors[order], ids[order]).to_dict() == pytest.approx(expected)


def test_numbers_and_names_identify_products_alike():
    by_name = leave_one_out(PHOTOS, PRODUCTS).to_dict()
    assert leave_one_out(PHOTOS, [7, 7, 7, -3, -3, 0]).to_dict() == by_name
    assert leave_one_out(PHOTOS, np.array(PRODUCTS)).to_dict() == by_name


def test_an_average_over_no_query_is_null_in_json():
    metrics = leave_one_out(at_degrees(0, 30), ["A", "B"])
    assert np.isnan(metrics.recall_at[1])
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["recall_at_1"] is None


@pytest.mark.parametrize(("queries", "gallery"), [(0, 3), (3, 0), (0, 0)])
def test_no_queries_or_an_empty_gallery_find_nothing(queries, gallery):
    metrics = retrieval_metrics(
        np.ones((queries, 4), np.float32),
        ["A"] * queries,
        np.ones((gallery, 4), np.float32),
        ["A"] * gallery,
    )
    assert metrics.queries == 0
    assert metrics.queries_without_relevant == queries


def test_a_zero_vector_is_orthogonal_to_everything():
    vectors = np.concatenate([np.zeros((1, 2), np.float32), at_degrees(0, 90, 180)])
    metrics = leave_one_out(vectors, ["A", "A", "B", "B"])
    assert metrics.first_rank.tolist() == [3, 2, 3, 2]  # every score of the first ties at 0


@pytest.mark.parametrize("both_ways", [False, True])
def test_memory_does_not_grow_with_the_gallery(both_ways):
    block, dim, width = 64, 32, 5

    def array(*shape, dtype=jnp.int32):
        return jax.ShapeDtypeStruct(shape, dtype)

    def temporary_bytes(blocks):
        gallery = array(blocks, block, dim, dtype=jnp.float32), array(blocks, block)
        if both_ways:
            counts = array(blocks, width, block)
            scores = array(blocks, width, block, dtype=jnp.float32)
            arguments = array(), (counts, counts), *gallery, scores, array(blocks)
            lowered = count_ahead_both_ways.lower(*arguments)
        else:
            queries = array(block, dim, dtype=jnp.float32), array(block), array(block)
            scores = array(width, block, dtype=jnp.float32)
            lowered = count_ahead.lower(*queries, scores, array(), *gallery)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    small, large = temporary_bytes(2), temporary_bytes(200)
    assert large - small < 8 * 200  # the blocks' own numbers
    assert large < 4 * 4 * block * block  # a few similarity blocks of float32


def test_progress_counts_every_query_once():
    done = []
    leave_one_out(PHOTOS, PRODUCTS, block=4, on_progress=done.append)
    assert done == [4, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused_by_row(bad):
    vectors = PHOTOS.copy()
    vectors[3, 1] = bad
    with pytest.raises(LookalikeError, match=r"1 of 6 gallery vectors .* row 3"):
        retrieval_metrics(PHOTOS, PRODUCTS, vectors, PRODUCTS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gallery": PHOTOS[:, :1]}, r"found \(6, 2\) and \(6, 1\)"),
        ({"query_ids": ["A"]}, "query_ids of length 6"),
        ({"gallery_ids": ["A"]}, "gallery_ids of length 6"),
        ({"self_index": np.arange(5)}, "self_index of length 6"),
        ({"self_index": np.arange(6) + 1}, "self_index in -1…5"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(changed, message, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)  # as outside the tests
    arguments = {"queries": PHOTOS, "query_ids": PRODUCTS}
    arguments |= {"gallery": PHOTOS, "gallery_ids": PRODUCTS}
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(**(arguments | changed))
