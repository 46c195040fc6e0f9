"""Other libraries' conventions as we state them, against the figures that they gave."""

import json
from pathlib import Path

import numpy as np
import pytest

from trainer.evaluation.conventions import CONVENTIONS, score_by_conventions
from trainer.evaluation.metrics import retrieval_metrics

STORED = json.loads(Path(__file__).with_name("convention_values.json").read_text("utf-8"))
CASES = {case["name"]: case for case in STORED["cases"]}
PAPERS = json.loads(Path(__file__).with_name("paper_values.json").read_text("utf-8"))
NOT_FOUND = 10**6

# Our name of a figure -> the library's.
PML = {
    "recall_at_1": "precision_at_1",
    "r_precision": "r_precision",
    "map_at_r": "mean_average_precision_at_r",
}
OML = {
    **{f"recall_at_{k}": f"cmc_{k}" for k in (1, 10)},
    **{f"{name}_at_{k}": f"{name}_{k}" for name in ("precision", "map") for k in (1, 10)},
}


def given(case):
    """What each library gave, by our names."""
    pml, oml = case["pytorch_metric_learning"], case["open_metric_learning"]
    return {
        "pytorch_metric_learning": {ours: pml["average"][name] for ours, name in PML.items()},
        "pytorch_metric_learning_avg_of_avgs": {
            ours: pml["avg_of_avgs"][name] for ours, name in PML.items()
        },
        "open_metric_learning": {ours: oml[name] for ours, name in OML.items()},
    }


def scored(vectors, labels):
    return score_by_conventions(vectors, labels, vectors, labels, self_index=np.arange(len(labels)))


@pytest.mark.parametrize("name", CASES)
def test_our_statement_gives_each_librarys_figures_from_its_own_ranking(name):
    case = CASES[name]
    labels = np.array(case["labels"])
    relevant = np.bincount(labels)[labels] - 1
    for convention, expected in given(case).items():
        library = convention.removesuffix("_avg_of_avgs")
        ranks = np.full((len(labels), max(1, relevant.max())), NOT_FOUND)
        for query, neighbours in enumerate(case[library]["neighbours"]):
            places = [
                place
                for place, row in enumerate(neighbours, start=1)
                if row != query and labels[row] == labels[query]
            ]
            ranks[query, : len(places)] = places
        rules = CONVENTIONS[convention]
        found = rules.averages(rules.values(relevant, ranks), relevant, labels)
        assert found == pytest.approx(expected, abs=1e-6), convention


@pytest.mark.parametrize("name", CASES)
def test_what_a_library_gave_lies_between_our_two_ends(name):
    case = CASES[name]
    found = scored(np.array(case["vectors"], np.float32), case["labels"])
    for convention, expected in given(case).items():
        for figure, value in expected.items():
            low, high = found[convention][figure]
            if value is None:
                assert (low, high) == (None, None)
            elif figure not in ("map_at_1", "map_at_10"):
                assert low - 1e-6 <= value <= high + 1e-6, (convention, figure)


@pytest.mark.parametrize(
    "name", [name for name in CASES if name.startswith(("apart", "overlap", "single"))]
)
def test_without_ties_the_two_ends_meet_at_the_librarys_figure(name):
    case = CASES[name]
    found = scored(np.array(case["vectors"], np.float32), case["labels"])
    for convention, expected in given(case).items():
        for figure, value in expected.items():
            assert (
                found[convention][figure]
                == [value if value is None else pytest.approx(value, abs=1e-6)] * 2
            )


@pytest.mark.parametrize("name", CASES)
def test_the_papers_recall_is_what_counting_gives(name):
    case = CASES[name]
    found = scored(np.array(case["vectors"], np.float32), case["labels"])
    assert found["multi_similarity_papers"] == {
        figure: pytest.approx(ends) for figure, ends in PAPERS[name].items()
    }


def test_libraries_that_leave_ties_to_their_sort_depend_on_the_order_of_rows():
    first, second = (
        given(CASES[f"copies across classes, {order}"]) for order in ("as they are", "reversed")
    )
    for convention in ("pytorch_metric_learning", "open_metric_learning"):
        assert first[convention]["recall_at_1"] != second[convention]["recall_at_1"]


@pytest.mark.parametrize("name", CASES)
def test_our_own_convention_is_what_we_report(name):
    case = CASES[name]
    vectors, labels = np.array(case["vectors"], np.float32), case["labels"]
    metrics = retrieval_metrics(
        vectors, labels, vectors, labels, self_index=np.arange(len(labels)), ks=(1, 10)
    )
    for figure, ends in scored(vectors, labels)["lookalike"].items():
        for of, end in zip((metrics.pessimistic, metrics.optimistic), ends, strict=True):
            assert end == pytest.approx(of.values(figure)[metrics.counted].mean())


def test_a_query_with_nothing_to_find_is_left_out_or_counts_nothing():
    vectors = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    found = scored(vectors, ["a", "a", "b"])
    assert found["lookalike"]["recall_at_1"] == [1.0, 1.0]
    assert found["multi_similarity_papers"]["recall_at_1"] == [pytest.approx(2 / 3)] * 2
    assert found["open_metric_learning"]["precision_at_1"] == [None, None]
    assert found["open_metric_learning"]["map_at_10"] == [pytest.approx(2 / 3)] * 2


def test_open_metric_learnings_map_forgives_what_is_not_found_and_map_at_r_does_not():
    # One of three relevant photos comes first, the two others far behind.
    relevant, ranks = np.array([3]), np.array([[1, 50, 60]])
    values = {name: rules.values(relevant, ranks) for name, rules in CONVENTIONS.items()}
    assert values["open_metric_learning"]["map_at_10"] == [1.0]
    assert values["lookalike"]["map_at_r"] == [pytest.approx(1 / 3)]
    assert values["open_metric_learning"]["precision_at_10"] == [pytest.approx(1 / 3)]
    # So that it can rise when a photo falls out of the ten, and its two ends are no bounds.
    within = CONVENTIONS["open_metric_learning"].values(relevant, np.array([[1, 10, 60]]))
    assert within["map_at_10"] == [pytest.approx(0.6)]


def test_no_queries_have_no_figures():
    nothing = np.zeros((0, 2), np.float32)
    assert set(scored(nothing, [])) == set(CONVENTIONS)
