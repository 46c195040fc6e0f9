"""The embeddings on a plane, photos at their places: which look alike to the network."""

from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from math import sqrt

import numpy as np
from jaxtyping import Float64
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, ImageOps

from trainer.data.records import Photo
from trainer.evaluation.report.spectrum import Spectrum
from trainer.figures import PALETTE, drawing
from trainer.page import data_uri

# Inches, and pixels an inch: sharp on a screen of twice the density, some 500 kB as a JPEG.
_WIDTH, _HEIGHT, _DPI = 10.6, 7.2, 170
# The part of the picture that photos may cover, and their sides: below the one nothing is
# recognised, above the other they say no more. In pixels of the picture.
_COVERED, _SMALLEST, _LARGEST = 0.5, 62, 110
# Rings of cells around its own that a photo may move to, to be seen.
_REACH = 1
_FRAME = 4
_OTHERS = "#9b938a"


def embedding_map(
    spread: Spectrum, photos: Sequence[Photo], read: Callable[[Photo], Image.Image] | None
) -> str:
    """Draw the first two principal components: a dot for each photo, and as many as fit as photos.

    The plane is cut into cells of a photo's size; each shows the photo that lies nearest to its
    middle, and others move into empty cells beside. So photos never cover each other, whether there
    are 200 or many thousand. Frames and dots have the colour of the category.

    Args:
        spread: of the photos' vectors.
        photos: in the same order.
        read: gives a photo; None draws dots alone.

    Returns:
        A JPEG in a data: URI.
    """
    colour_of = category_colours([photo.category for photo in photos])
    colours = [colour_of.get(photo.category, _OTHERS) for photo in photos]
    with drawing(_WIDTH, _HEIGHT) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        x, y = spread.plane.T
        dot = 90 / sqrt(max(1, len(photos)))
        axes.scatter(x, y, s=min(36, max(5, dot)), c=colours, alpha=0.55, linewidths=0)
        first, second = (*spread.shares[:2], 0.0)[:2]
        axes.set_xlabel(f"first principal component, {first:.0%} of the variance")
        axes.set_ylabel(f"second, {second:.0%}")
        axes.tick_params(labelbottom=False, labelleft=False, length=0)
        for category, colour in colour_of.items():
            axes.scatter([], [], s=42, c=colour, label=_short(category))
        if len(set(colours)) > len(colour_of) and colour_of:
            axes.scatter([], [], s=42, c=_OTHERS, label="others")
        if colour_of:
            figure.legend(loc="outside upper left", ncols=4, fontsize=9, handletextpad=0.2)
        axes.margins(0.04)
        if read is not None:
            canvas = FigureCanvasAgg(figure)
            figure.set_dpi(_DPI)
            canvas.draw()  # type: ignore[no-untyped-call]
            box = axes.get_window_extent()
            to_pixel = axes.transData.transform(spread.plane) - (box.x0, box.y0)
            size = (box.width, box.height)
            side = photo_side(size, len(photos))
            for number, (left, bottom) in place_photos(to_pixel, size, side).items():
                picture = _framed(read(photos[number]), side, colours[number])
                figure.figimage(
                    np.asarray(picture), box.x0 + left, box.y0 + bottom, origin="upper", zorder=5
                )
        file = BytesIO()
        FigureCanvasAgg(figure).print_figure(
            file, format="jpeg", dpi=_DPI, pil_kwargs={"quality": 82, "optimize": True}
        )
    return data_uri(file.getvalue(), "image/jpeg")


def category_colours(categories: Sequence[str]) -> dict[str, str]:
    """Give the most frequent categories the palette's colours, most frequent first."""
    known = Counter(category for category in categories if category)
    order = sorted(known, key=lambda category: (-known[category], category))
    return dict(zip(order, PALETTE, strict=False))


def photo_side(size: tuple[float, float], count: int) -> int:
    """The side of the photos on a map of `size` pixels: smaller where there are many."""
    return round(min(_LARGEST, max(_SMALLEST, sqrt(size[0] * size[1] * _COVERED / max(1, count)))))


def place_photos(
    points: Float64[np.ndarray, "photos 2"], size: tuple[float, float], side: int
) -> dict[int, tuple[float, float]]:
    """Choose the photos that are shown, and where: no two overlap.

    Args:
        points: where each belongs, in pixels, within `size`.
        size: width and height.
        side: of the photos.

    Returns:
        By photo number, the left and bottom edge.
    """
    columns, rows = max(1, int(size[0] // side)), max(1, int(size[1] // side))
    step = np.array([size[0] / columns, size[1] / rows])
    cells = np.clip((points // step).astype(int), 0, [columns - 1, rows - 1])
    away = np.linalg.norm(points - (cells + 0.5) * step, axis=1)
    taken: dict[tuple[int, int], int] = {}
    for reach in range(_REACH + 1):
        shown = set(taken.values())
        for number in np.argsort(away, kind="stable").tolist():
            if number in shown:
                continue
            near = _ring(points[number], cells[number], step, reach, (columns, rows))
            free = next((cell for cell in near if cell not in taken), None)
            if free is not None:
                taken[free] = number
    margin = (step - side) / 2
    return {
        number: (cell[0] * step[0] + margin[0], cell[1] * step[1] + margin[1])
        for cell, number in taken.items()
    }


def _ring(
    point: np.ndarray,
    cell: np.ndarray,
    step: np.ndarray,
    reach: int,
    limits: tuple[int, int],
) -> list[tuple[int, int]]:
    """The cells within `reach` of a photo's own, nearest to it first."""
    around = [
        (int(cell[0]) + right, int(cell[1]) + up)
        for right in range(-reach, reach + 1)
        for up in range(-reach, reach + 1)
    ]
    inside = [at for at in around if 0 <= at[0] < limits[0] and 0 <= at[1] < limits[1]]
    return sorted(inside, key=lambda at: float(np.linalg.norm((np.array(at) + 0.5) * step - point)))


def _framed(photo: Image.Image, side: int, colour: str) -> Image.Image:
    inside = side - 2 * _FRAME
    fitted = ImageOps.pad(photo, (inside, inside), Image.Resampling.LANCZOS, color="white")
    return ImageOps.expand(fitted, _FRAME, colour)


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
