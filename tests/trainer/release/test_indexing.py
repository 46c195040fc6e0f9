"""The index that is built is as good as it says, and as small and fast as its tuning found."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.index import CENTROIDS, PROJECTION, NumpyIndex, TreeIndex, open_index
from function.manifest import IndexSetting
from function.vectors import open_vectors
from trainer.release.indexing import BuiltIndex, BuiltTree, build_index
from trainer.release.projection import projection_to
from trainer.release.tuning import Probe, choose, grown


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(rows: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(0).normal(size=(300, 32))
    random = np.random.default_rng(seed)
    return unit(centres[random.integers(0, 300, rows)] + 0.6 * random.normal(size=(rows, 32)))


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(3000, 1)


@pytest.fixture(scope="module")
def tuned(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[BuiltIndex, Path]:
    """Of the settings that reach the recall the fastest tree, however fast exact search is."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.release.indexing.choose", fastest_tree)
        built = build_index(vectors, folder, recall=0.9, queries=clustered(300, 2), exact_rows=10)
    return built, folder


def fastest_tree(curve: list[IndexSetting], recall: float) -> IndexSetting:
    trees = [setting for setting in curve if setting.kind == "scann"]
    return min(
        (setting for setting in trees if setting.recall_at_10 >= recall),
        key=lambda setting: setting.ms,
    )


def test_small_catalogues_are_searched_exactly(vectors: np.ndarray, tmp_path: Path) -> None:
    built = build_index(vectors, tmp_path)
    assert (built.chosen.kind, built.chosen.recall_at_10) == ("exact", 1.0)
    assert built.curve == (built.chosen,)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.npy"]
    found = [open_index(tmp_path, "exact").search(query, 11)[0] for query in vectors[:50]]
    assert Probe.of(vectors, vectors[:200], count=50).wanted == 10
    assert all(row == rows[0] for row, rows in enumerate(found))


def test_a_tree_reaches_the_recall_it_is_tuned_for_on_queries_it_was_not_tuned_with(
    vectors: np.ndarray, tuned: tuple[BuiltIndex, Path]
) -> None:
    built, folder = tuned
    assert built.target_recall_at_10 == 0.9
    assert built.chosen in built.curve
    assert built.chosen.recall_at_10 >= 0.9
    assert built.chosen.tree_dim == 32
    index = open_index(folder, "scann")
    assert isinstance(index, TreeIndex)
    ((others, _),) = Probe.of(vectors, clustered(300, 3)).measure([index])
    assert others == pytest.approx(built.chosen.recall_at_10, abs=0.03)


def test_the_files_are_those_of_the_chosen_setting(tuned: tuple[BuiltIndex, Path]) -> None:
    built, folder = tuned
    index = open_index(folder, "scann")
    assert isinstance(index, TreeIndex)
    assert list(vars(index.parameters).values()) == [
        built.chosen.leaves,
        built.chosen.leaves_to_search,
        built.chosen.reorder,
        built.chosen.tree_dim,
    ]
    assert np.load(folder / "dataset.npy").dtype.name == built.chosen.row_type
    size = sum(path.stat().st_size for path in folder.iterdir() if path.name != "search.json")
    assert built.chosen.megabytes == pytest.approx(size / 1e6, abs=1e-4)


def test_the_curve_has_exact_search_and_every_type_of_rows_until_it_is_good_enough(
    tuned: tuple[BuiltIndex, Path],
) -> None:
    curve = tuned[0].curve
    assert curve[0].kind == "exact"
    trees = {setting.leaves for setting in curve if setting.kind == "scann"}
    for row_type, tree in product(("float32", "int16", "int8"), trees):
        climbed = [
            setting
            for setting in curve
            if (setting.leaves, setting.row_type, setting.reorder) == (tree, row_type, 50)
        ]
        leaves = [setting.leaves_to_search for setting in climbed]
        assert leaves == sorted(set(leaves))
        assert all(setting.recall_at_10 < 0.9 for setting in climbed[:-1])
    assert all(setting.ms > 0 for setting in curve)


@pytest.mark.parametrize(
    ("ms_of_trees", "built", "served"),
    [
        ([1.0, 0.8, 0.79], 3, 2),  # the third finds hardly sooner
        ([1.0, 0.8, 0.9], 3, 1),
        ([1.0, 1.1], 2, 0),
        ([None], 1, None),  # none reaches the recall: exact search serves
    ],
)
def test_trees_of_more_leaves_are_built_as_long_as_they_find_sooner(
    vectors: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ms_of_trees: list[float | None],
    built: int,
    served: int | None,
) -> None:
    times = iter(ms_of_trees)
    trees: list[BuiltTree] = []

    def measured(tree: BuiltTree, *_: object) -> list[IndexSetting]:
        trees.append(tree)
        recall, ms = (0.1, 1.0) if (next_ms := next(times)) is None else (0.95, next_ms)
        return [IndexSetting("scann", "int8", tree.leaves, 9, 50, recall, ms, 0.5)]

    monkeypatch.setattr("trainer.release.indexing._measured", measured)
    monkeypatch.setattr("trainer.release.indexing.projections", lambda probe, recall: iter([None]))
    monkeypatch.setattr(
        "trainer.release.indexing.exact_setting",
        lambda folder, probe: IndexSetting("exact", "float32", 0, 0, 0, 1.0, 9.0, 4.0),
    )
    chosen = build_index(vectors, tmp_path, recall=0.9, exact_rows=10).chosen
    assert len(trees) == built
    assert [tree.leaves for tree in trees] == pytest.approx([110, 219, 438][:built], rel=0.05)
    if served is None:
        assert chosen.kind == "exact"
        return
    index = open_index(tmp_path, "scann")
    assert isinstance(index, TreeIndex)
    assert chosen.leaves == trees[served].leaves == index.parameters.leaves
    assert len(np.load(tmp_path / CENTROIDS)) == chosen.leaves


def along_a_few_directions(rows: int, seed: int) -> np.ndarray:
    """Vectors of 128 numbers along 32 directions."""
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(128, 128)))[0][:32]
    return unit(clustered(rows, seed) @ turned)


@pytest.fixture(scope="module")
def shortened(tmp_path_factory: pytest.TempPathFactory) -> tuple[BuiltIndex, Path]:
    folder = tmp_path_factory.mktemp("shortened")
    rows, queries = along_a_few_directions(3000, 1), along_a_few_directions(300, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.release.indexing.choose", fastest_tree)
        built = build_index(rows, folder, recall=0.9, queries=queries, exact_rows=10)
    return built, folder


def test_the_tree_knows_rows_of_few_directions_by_as_few_numbers(
    shortened: tuple[BuiltIndex, Path],
) -> None:
    built, folder = shortened
    assert built.chosen.tree_dim == 32
    assert {setting.tree_dim for setting in built.curve if setting.kind == "scann"} == {32}
    assert built.curve[0].tree_dim == 0
    assert np.load(folder / PROJECTION).shape == (128, 32)
    probe = Probe.of(along_a_few_directions(3000, 1), along_a_few_directions(300, 2))
    ((recall, _),) = probe.measure([open_index(folder, "scann")])
    assert recall == pytest.approx(built.chosen.recall_at_10, abs=0.005)


def test_a_setting_is_taken_over_with_the_numbers_of_its_tree(
    shortened: tuple[BuiltIndex, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.release.indexing.projections", None)
    changed = along_a_few_directions(3100, 4)
    before = replace(shortened[0].chosen, tree_dim=48)
    built = build_index(changed, tmp_path, recall=0.5, setting=before)
    assert built.chosen.tree_dim == 48
    assert np.load(tmp_path / PROJECTION).shape == (128, 48)
    assert open_index(tmp_path, "scann").rows == 3100


@pytest.mark.parametrize("tree_dim", [0, 128])
def test_a_setting_of_whole_rows_is_taken_over_with_these(
    shortened: tuple[BuiltIndex, Path], tmp_path: Path, tree_dim: int
) -> None:
    before = replace(shortened[0].chosen, tree_dim=tree_dim)
    built = build_index(
        along_a_few_directions(3100, 4), tmp_path, recall=0.5, exact_rows=10, setting=before
    )
    assert built.chosen.tree_dim == 128
    assert not (tmp_path / PROJECTION).exists()


def test_where_a_tree_of_few_numbers_is_not_good_enough_one_of_more_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, queries = along_a_few_directions(3000, 1), along_a_few_directions(300, 2)
    # As if four numbers had kept the neighbours in reach.
    tried = [projection_to(rows, 4), projection_to(rows, 32), None]
    monkeypatch.setattr("trainer.release.indexing.projections", lambda probe, recall: iter(tried))
    monkeypatch.setattr("trainer.release.indexing.choose", fastest_tree)
    built = build_index(rows, tmp_path, recall=0.9, queries=queries, exact_rows=10)
    trees = [setting for setting in built.curve if setting.kind == "scann"]
    assert list(dict.fromkeys(setting.tree_dim for setting in trees)) == [4, 32]
    assert built.chosen.tree_dim == 32
    assert np.load(tmp_path / PROJECTION).shape == (128, 32)


def test_without_scann_the_plain_vectors_are_written(
    vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.release.indexing.find_spec", lambda name: None)
    assert build_index(vectors, tmp_path, exact_rows=10).chosen.kind == "exact"
    np.testing.assert_array_equal(open_vectors(tmp_path).read(), vectors)


def test_where_no_tree_is_good_enough_search_is_exact(vectors: np.ndarray) -> None:
    exact = IndexSetting("exact", "float32", 0, 0, 0, 1.0, 9.0, 4.0)
    tree = IndexSetting("scann", "int8", 8, 8, 50, 0.98, 0.1, 1.0)
    assert choose([exact, tree], 0.99) == exact
    assert choose([exact, tree], 0.98) == tree


def test_among_settings_about_as_fast_a_smallest_is_chosen() -> None:
    exact = IndexSetting("exact", "float32", 0, 0, 0, 1.0, 9.0, 4.0)
    fast = IndexSetting("scann", "float32", 8, 2, 50, 0.995, 0.30, 4.5)
    small = replace(fast, row_type="int8", ms=0.45, megabytes=1.2)
    slow = replace(small, ms=0.55)
    assert choose([exact, fast, small], 0.99) == small
    assert choose([exact, fast, slow], 0.99) == fast
    # A tree of more leaves takes hardly more memory.
    finer = replace(small, leaves=16, ms=0.40, megabytes=1.25)
    assert choose([exact, fast, small, finer], 0.99) == finer
    assert choose([exact, replace(fast, ms=4.0), replace(small, ms=4.9)], 0.99).row_type == "int8"


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 12))
def test_recall_against_a_nested_loop(rows: int, seed: int, held_out: bool, count: int) -> None:
    random = np.random.default_rng(seed)
    some = unit(random.normal(size=(rows, 8)))
    queries = unit(random.normal(size=(200, 8))) if held_out else None
    probe = Probe.of(some, queries, count=count)
    blind = NumpyIndex(np.where(random.random((rows, 1)) < 0.4, 0, some).astype(np.float32))
    wanted = min(10, rows if held_out else rows - 1)
    assert probe.wanted == wanted
    hits = 0
    for query, own in zip(probe.queries, probe.own_rows, strict=True):
        order = [row for row in np.argsort(-(some @ query), kind="stable") if row != own]
        found = [row for row in blind.search(query, 11)[0] if row != own][:wanted]
        hits += len(set(found) & set(order[:10]))
    ((recall, _),) = probe.measure([blind])
    assert recall == pytest.approx(hits / (wanted * len(probe.queries)) if wanted else 1.0)


def test_duplicates_of_a_photo_cost_no_recall() -> None:
    same = np.tile(unit(np.ones((1, 8))), (30, 1))
    for rows in (same, same[:1]):
        ((recall, _),) = Probe.of(rows).measure([NumpyIndex(rows)])
        assert recall == 1.0


def test_a_few_held_out_photos_are_too_few_to_tune_with(vectors: np.ndarray) -> None:
    assert (Probe.of(vectors, vectors[:199]).own_rows >= 0).all()
    assert (Probe.of(vectors, vectors[:200]).own_rows == -1).all()


def test_a_setting_is_taken_over_and_measured_on_the_rows_there_are(
    vectors: np.ndarray, tuned: tuple[BuiltIndex, Path], tmp_path: Path
) -> None:
    before = tuned[0].chosen
    changed = np.concatenate([vectors[:2900], clustered(150, 4)])
    built = build_index(changed, tmp_path, recall=0.5, queries=clustered(300, 2), setting=before)
    assert built.curve == (built.chosen,)
    assert built.chosen.leaves == pytest.approx(before.leaves, rel=0.05)
    assert (built.chosen.leaves_to_search, built.chosen.reorder, built.chosen.row_type) == (
        before.leaves_to_search,
        before.reorder,
        before.row_type,
    )
    index = open_index(tmp_path, "scann")
    assert index.rows == 3050
    ((recall, _),) = Probe.of(changed, clustered(300, 2)).measure([index])
    assert built.chosen.recall_at_10 == pytest.approx(recall, abs=0.005)


def test_a_tree_that_is_taken_over_grows_with_the_catalogue() -> None:
    tree = IndexSetting("scann", "int8", 200, 20, 50, 0.99, 0.1, 1.0)
    assert grown(tree, 1_000, 1_210) == replace(tree, leaves=220)
    exact = IndexSetting("exact", "float32", 0, 0, 0, 1.0, 9.0, 4.0)
    assert grown(exact, 1_000, 1_210) == exact


def test_more_leaves_than_rows_are_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(10, 0, -1))

    def sooner(tree: BuiltTree, *_: object) -> list[IndexSetting]:
        return [IndexSetting("scann", "int8", tree.leaves, 1, 50, 1.0, next(times), 0.5)]

    monkeypatch.setattr("trainer.release.indexing._measured", sooner)
    build_index(clustered(31, 1), tmp_path, recall=0.9, exact_rows=10)
    assert next(times) == 8  # of 11 and 22 leaves; 44 would be more than the rows


def test_a_setting_that_falls_short_is_not_taken_over(
    vectors: np.ndarray,
    tuned: tuple[BuiltIndex, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poor = replace(tuned[0].chosen, leaves_to_search=1, reorder=10)
    built = build_index(vectors, tmp_path, recall=0.99, queries=clustered(300, 2), setting=poor)
    assert built.chosen.recall_at_10 >= 0.99
    assert len(built.curve) > 3
    assert "it is tuned anew" in " ".join(capsys.readouterr().err.split())


def test_an_exact_index_stays_exact_whatever_it_grows_to(
    vectors: np.ndarray, tmp_path: Path
) -> None:
    exact = IndexSetting("exact", "float32", 0, 0, 0, 1.0, 9.0, 4.0)
    built = build_index(vectors, tmp_path, exact_rows=10, setting=exact)
    assert built.curve == (built.chosen,)
    assert built.chosen.kind == "exact"
