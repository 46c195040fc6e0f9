"""The hardest queries with what lies nearest to them, and what is taken for what."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from trainer.data.records import Photo
from trainer.evaluation.metrics import retrieval_metrics
from trainer.evaluation.neighbours import Neighbour, nearest_others, neighbours
from trainer.evaluation.report.confusions import (
    MATRIX_CATEGORIES,
    confusion_matrix,
    confusions,
)
from trainer.evaluation.report.material import Evaluated
from trainer.evaluation.retrieval_sheet import choose_queries
from trainer.evaluation.tasks import Task
from trainer.page import Block, Illustration, Photos, PhotoTile, Section, Table, Text

QUERIES = 10
NEAREST = 5
# Pairs listed where there are too many categories for a matrix.
_PAIRS = 15


def ranks(evaluated: Evaluated, task: Task) -> Int[np.ndarray, " queries"]:
    """The rank of each query's nearest photo of its product, from 1; 0 where there is none."""
    queries, gallery = list(task.queries), list(task.gallery)
    return retrieval_metrics(
        evaluated.vectors[queries],
        evaluated.product[queries],
        evaluated.vectors[gallery],
        evaluated.product[gallery],
        self_index=task.self_index,
        ks=(1,),
    ).pessimistic.first_rank


def failures_section(
    evaluated: Evaluated,
    task: Task,
    first_rank: Int[np.ndarray, " queries"],
    thumbnail: Callable[[Photo], str],
) -> Section:
    """Queries from the worst to the near miss, some that succeed, each with its neighbours.

    Args:
        evaluated: photos and vectors.
        task: who searches among whom.
        first_rank: as `ranks` gives it.
        thumbnail: a photo as a data: URI; "" where it cannot be shown.
    """
    photos = evaluated.photos

    gallery = np.array(task.gallery)

    def tile(neighbour: Neighbour, detail: str = "") -> PhotoTile:
        photo = photos[gallery[neighbour.row]]
        return PhotoTile(
            thumbnail(photo),
            photo.title or photo.product_id,
            detail or f"{neighbour.similarity:.3f}",
            "right" if neighbour.right else "wrong",
        )

    rows: list[Block] = []
    for place in choose_queries(first_rank, QUERIES):
        number = task.queries[place]
        nearest, best = neighbours(
            evaluated.vectors[number],
            evaluated.vectors[gallery],
            evaluated.product[gallery] == evaluated.product[number],
            own_row=int(task.self_index[place]),
            count=NEAREST,
        )
        query = photos[number]
        tiles = [PhotoTile(thumbnail(query), query.title or query.product_id, "query")]
        tiles += [tile(neighbour) for neighbour in nearest]
        rank = int(first_rank[place])
        if best is not None and rank > NEAREST:
            detail = f"{best.similarity:.3f}, rank {rank:,}"
            tiles.append(tile(best, f"should be first: {detail}"))
        rows.append(Photos(tiles, heading=f"Right product at rank {rank:,}"))
    failed, counted = int((first_rank > 1).sum()), int((first_rank > 0).sum())
    text = (
        f"{failed:,} of {counted:,} queries have a photo of another product first. From the worst "
        "to the near miss, then some that succeed: the query, its nearest photos with their "
        "cosines, and the photo that should be first where it is farther off."
    )
    return Section("Hardest queries", (Text(text), *rows))


def confusion_section(
    evaluated: Evaluated, task: Task, first_rank: Int[np.ndarray, " queries"]
) -> Section | None:
    """Which categories the wrong first photos are of; None where no category is known."""
    photos = evaluated.photos
    category_of = [photos[row].category for row in task.queries]
    if len(set(category_of) - {""}) < 2:
        return None
    nearest = nearest_others(evaluated.vectors, evaluated.product, task)
    failed = np.flatnonzero(first_rank > 1)
    pairs = confusions(
        [category_of[query] for query in failed],
        [photos[nearest[query]].category for query in failed],
    )
    asked = Counter(
        category
        for category, rank in zip(category_of, first_rank, strict=True)
        if rank and category
    )
    total, within = pairs.total(), sum(count for (a, b), count in pairs.items() if a == b)
    text = Text(
        f"Of {total:,} wrong first answers {within:,} are another product of the query's own "
        f"category, {total - within:,} are of another category."
        if total
        else "No query of a known category has a wrong first answer."
    )
    if not total:
        return Section("Confusions", (text,))
    if len({*asked, *(name for pair in pairs for name in pair)}) <= MATRIX_CATEGORIES:
        figure = Illustration(
            confusion_matrix(pairs, asked),
            "Wrong first answers: rows are the query's category, with its number of queries, "
            "columns that of the photo that came first. The stronger the colour, the larger "
            "its share of the row's queries; blue within the category, orange outside it.",
            f"Confusions of categories: {_listed(pairs)}.",
        )
        return Section("Confusions", (text, figure))
    table = Table(
        ("query", "first answer", "times", "of its queries"),
        [(a, b, count, f"{count / asked[a]:.1%}") for (a, b), count in pairs.most_common(_PAIRS)],
        caption=f"The {min(_PAIRS, len(pairs))} most frequent of {len(pairs):,} pairs.",
    )
    return Section("Confusions", (text, table))


def _listed(pairs: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{a} for {b} {count:,} times" for (a, b), count in pairs.most_common(5))
