"""Prometheus' own parser reads back what was counted."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from function.prometheus import Counter, Histogram, gauge_lines

BOUNDS = (0.01, 0.1, 1.0)


def read(lines: Iterable[str]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    (family,) = text_string_to_metric_families("".join(lines))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for sample in family.samples
    }


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
def test_counts_come_back_by_label_whatever_that_holds(labels: list[str]) -> None:
    counter = Counter("things_total", "Things.")
    for label in labels:
        counter.add(kind=label)
    assert read(counter.lines()) == {
        ("things_total", frozenset({("kind", label)})): labels.count(label) for label in labels
    }


@given(st.lists(st.floats(0, 10), max_size=50))
def test_a_histogram_counts_what_is_at_most_each_bound(seconds: list[float]) -> None:
    histogram = Histogram("wait_seconds", "Waiting.", BOUNDS)
    for one in seconds:
        histogram.observe(one, route="/")
    found = read(histogram.lines())
    if not seconds:
        assert not found
        return
    route = ("route", "/")
    for bound in (*BOUNDS, float("inf")):
        shown = "+Inf" if bound == float("inf") else str(bound)
        expected = sum(one <= bound for one in seconds)
        assert found["wait_seconds_bucket", frozenset({route, ("le", shown)})] == expected
    assert found["wait_seconds_count", frozenset({route})] == len(seconds)
    total = found["wait_seconds_sum", frozenset({route})]
    assert abs(total - sum(seconds)) < 1e-6


def test_a_gauge_may_have_no_labels() -> None:
    assert read(gauge_lines("waiting", "How many wait.", ({}, 3))) == {("waiting", frozenset()): 3}
