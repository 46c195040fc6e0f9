"""What of a run goes into the release that is made from it."""

from trainer.release.from_run import published_figures


def test_visitors_are_told_the_figures_without_categories_and_conventions() -> None:
    task = {"recall_at_1": 0.5, "by_category": [{"category": "shoes"}], "optimistic": {}}
    evaluation = {"leave_one_out": task, "query_to_catalog": None, "step": 3, "conventions": {}}
    assert published_figures(evaluation) == {
        "leave_one_out": {"recall_at_1": 0.5, "optimistic": {}},
        "query_to_catalog": None,
        "step": 3,
    }
