"""A picture of what the model finds: queries, their nearest photos, and where it goes wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont, ImageOps

from function.photo import decode
from trainer.data.records import Photo
from trainer.evaluation.metrics import RetrievalMetrics
from trainer.evaluation.neighbours import neighbours

# Okabe and Ito's palette, told apart with any colour vision; each frame has a mark besides.
RIGHT, WRONG, NEUTRAL = (0, 158, 115), (213, 94, 0), (150, 150, 150)
INK, FAINT_INK, PAPER = (25, 25, 25), (105, 105, 105), (255, 255, 255)

PHOTO_SIDE = 132
FRAME = 5
GAP = 14
MARK_RADIUS = 11
LINE_HEIGHT = 16
CAPTION_HEIGHT = 2 * LINE_HEIGHT + 4
HEADING_HEIGHT = 62
TOP = HEADING_HEIGHT + LINE_HEIGHT + 4
CELL = PHOTO_SIDE + 2 * FRAME
ROW_HEIGHT = CELL + CAPTION_HEIGHT + GAP


@dataclass(frozen=True)
class _Tile:
    photo: Photo
    detail: str
    correct: bool | None = None


def retrieval_sheet(
    queries: Sequence[Photo],
    query_vectors: Float[np.ndarray, "queries dim"],
    gallery: Sequence[Photo],
    gallery_vectors: Float[np.ndarray, "gallery dim"],
    metrics: RetrievalMetrics,
    read: Callable[[Photo], bytes],
    *,
    self_index: Int[np.ndarray, " queries"] | None = None,
    heading: str = "Retrieval",
    rows: int = 10,
    columns: int = 5,
) -> Image.Image:
    """Draw some queries with the gallery photos that the model puts nearest, failures first.

    Failures, queries whose nearest photo shows another product, fill up to four fifths of the
    rows, spread evenly from the worst to the near miss; the last column shows the photo that
    should have come first. The rest are successes. Right photos have a green frame and a tick,
    wrong ones an orange frame and a cross.

    Args:
        queries: the query photos.
        query_vectors: `[queries, dim]`, unit rows.
        gallery: the gallery photos.
        gallery_vectors: `[gallery, dim]`, unit rows.
        metrics: what `retrieval_metrics` gave for them.
        read: a photo's encoded bytes, as `Catalog.read`.
        self_index: as in `retrieval_metrics`.
        heading: what was evaluated, such as "Query to catalogue".
        rows: queries to draw, at most.
        columns: nearest photos of each.
    """
    products = np.array([photo.product_id for photo in gallery])
    chosen = choose_queries(metrics.first_rank, rows)
    drawn = []
    for query in chosen:
        nearest, best = neighbours(
            query_vectors[query],
            gallery_vectors,
            products == queries[query].product_id,
            own_row=-1 if self_index is None else int(self_index[query]),
            count=columns,
        )
        tiles = [_Tile(queries[query], "query")]
        tiles += [_Tile(gallery[at.row], f"{at.similarity:.3f}", at.right) for at in nearest]
        rank = metrics.first_rank[query]
        if best is not None and rank > columns:
            tiles.append(_Tile(gallery[best.row], f"{best.similarity:.3f}, rank {rank:,}", True))
        drawn.append(tiles)
    failed = int((metrics.first_rank > 1).sum())
    shown = int((metrics.first_rank[chosen] > 1).sum())
    summary = (
        f"{_percentages(metrics)} of {metrics.queries:,} queries among {metrics.gallery:,} photos. "
        f"{shown} of {failed:,} failures, worst first, then {len(chosen) - shown} successes."
    )
    return _draw(drawn, columns, heading, summary, read)


def choose_queries(first_rank: Int[np.ndarray, " queries"], rows: int) -> list[int]:
    """Which queries to draw: failures from the worst to the near miss, then successes.

    Args:
        first_rank: the rank of each query's nearest relevant photo from 1; 0 where it has none,
            such a query is never drawn.
        rows: how many, at most.
    """
    failures = np.flatnonzero(first_rank > 1)
    failures = failures[np.argsort(-first_rank[failures], kind="stable")]
    successes = np.flatnonzero(first_rank == 1)
    wanted = max(rows * 4 // 5, rows - successes.size)
    chosen = _spread(failures, wanted)
    return chosen + _spread(successes, rows - len(chosen))


def _spread(items: Int[np.ndarray, " items"], count: int) -> list[int]:
    """`count` of the items, evenly spaced from the first to the last; all where there are fewer."""
    places = np.linspace(0, items.size - 1, min(count, items.size)).round().astype(int)
    return [int(item) for item in items[places]]


def _percentages(metrics: RetrievalMetrics) -> str:
    return ", ".join(f"R@{k} {share:.1%}" for k, share in metrics.recall_at.items() if k <= 10)


def _draw(
    rows: Sequence[Sequence[_Tile]],
    columns: int,
    heading: str,
    summary: str,
    read: Callable[[Photo], bytes],
) -> Image.Image:
    width = 2 * GAP + (columns + 2) * (CELL + GAP) + GAP
    sheet = Image.new("RGB", (width, TOP + len(rows) * ROW_HEIGHT), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), heading, INK, _font(22))
    draw.text((GAP, 40), summary, FAINT_INK, _font(13))
    for column, label in ((0, "query"), (1, "nearest first"), (columns + 1, "should be first")):
        draw.text((_left(column, columns), HEADING_HEIGHT), label, INK, _font(12))
    for number, tiles in enumerate(rows):
        top = TOP + number * ROW_HEIGHT
        for column, tile in enumerate(tiles):
            _draw_tile(sheet, draw, (_left(column, columns), top), tile, read)
    return sheet


def _left(column: int, columns: int) -> int:
    """The left edge of a column: the query and the expected photo stand a little apart."""
    return GAP + column * (CELL + GAP) + GAP * ((column > 0) + (column > columns))


def _draw_tile(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    tile: _Tile,
    read: Callable[[Photo], bytes],
) -> None:
    left, top = corner
    colour = {True: RIGHT, False: WRONG, None: NEUTRAL}[tile.correct]
    draw.rectangle((left, top, left + CELL - 1, top + CELL - 1), PAPER, colour, FRAME)
    photo = decode(read(tile.photo), reduce_to=PHOTO_SIDE)
    photo = ImageOps.pad(photo, (PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS, PAPER)
    sheet.paste(photo, (left + FRAME, top + FRAME))
    if tile.correct is not None:
        centre = (left + CELL - MARK_RADIUS - 2, top + MARK_RADIUS + 2)
        _draw_mark(draw, centre, colour, tick=tile.correct)
    name = tile.photo.title or tile.photo.product_id
    below = top + CELL + 2
    draw.text((left, below), _shortened(draw, name), INK, _font(12))
    product = tile.photo.product_id if tile.photo.title else ""
    detail = " · ".join(part for part in (tile.detail, product) if part)
    draw.text((left, below + LINE_HEIGHT), _shortened(draw, detail), FAINT_INK, _font(12))


def _draw_mark(
    draw: ImageDraw.ImageDraw, centre: tuple[int, int], colour: tuple[int, int, int], *, tick: bool
) -> None:
    x, y = centre
    draw.circle(centre, MARK_RADIUS, colour, PAPER, 2)
    if tick:
        stroke = [(x - 5, y), (x - 1, y + 4), (x + 5, y - 4)]
        draw.line(stroke, PAPER, 3, joint="curve")
    else:
        draw.line([(x - 4, y - 4), (x + 4, y + 4)], PAPER, 3)
        draw.line([(x - 4, y + 4), (x + 4, y - 4)], PAPER, 3)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(draw: ImageDraw.ImageDraw, text: str) -> str:
    """The text, cut to the width of a tile."""
    if draw.textlength(text, _font(12)) <= CELL:
        return text
    while text and draw.textlength(text + "…", _font(12)) > CELL:
        text = text[:-1]
    return text.rstrip() + "…"
