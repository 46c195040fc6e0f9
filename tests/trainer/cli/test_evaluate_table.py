"""What `lookalike evaluate` prints: intervals, and ties where they show."""

from io import StringIO

import numpy as np
from rich.console import Console

from trainer.cli.evaluate import conventions_table, metrics_table
from trainer.evaluation.averages import summary
from trainer.evaluation.conventions import score_by_conventions
from trainer.evaluation.metrics import retrieval_metrics


def printed(vectors, categories, **options):
    ids = np.arange(len(vectors)) // 2
    vectors = np.asarray(vectors, np.float32)
    metrics = retrieval_metrics(vectors, ids, vectors, ids, self_index=np.arange(len(ids)))
    results = {"query_to_catalog": None, "leave_one_out": summary(metrics, categories)}
    file = StringIO()
    Console(file=file, width=80).print(metrics_table(results, **options))
    return file.getvalue()


def test_a_figure_without_ties_is_one_number_and_one_with_ties_two():
    apart = printed(np.repeat(np.eye(3), 2, axis=0), [""] * 6)
    assert "leave-one-out" in apart
    assert "photo →" not in apart
    assert apart.count("100.0%") == 12  # six columns, for photos and for products
    assert "–" not in apart
    assert "0.0–100.0%" in printed(np.ones((6, 3)), [""] * 6)


def test_categories_have_lines_of_their_own_when_asked_for():
    vectors, categories = np.repeat(np.eye(3), 2, axis=0), ["shoes"] * 2 + ["hats"] * 4
    assert "shoes" not in printed(vectors, categories)
    asked = printed(vectors, categories, by_category=True)
    assert asked.index("hats") < asked.index("shoes")


def test_conventions_show_what_each_defines_and_no_more():
    vectors = np.repeat(np.eye(3), 2, axis=0).astype(np.float32)
    ids = np.arange(6) // 2
    scores = score_by_conventions(vectors, ids, vectors, ids, self_index=np.arange(6))
    file = StringIO()
    Console(file=file, width=120).print(conventions_table(scores, "Conventions"))
    lines = {line.split("  ")[0].strip(): line for line in file.getvalue().splitlines() if line}
    assert lines["lookalike"].count("100.0%") == 4
    assert lines["papers on SOP"].count("100.0%") == 2
    assert "Oh Song" in file.getvalue()
