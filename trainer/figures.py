"""How this project's figures look, and how they become files and parts of a page.

    with drawing(8, 4) as figure:
        axes = figure.subplots()
        axes.bar(names, counts, color=PALETTE[0])
        count_axis(axes.yaxis)
    svg = inline_svg(figure)

Figures are drawn with matplotlib's objects, without pyplot: nothing stays open, no window is
looked for. Text is text: a $ or a _ in a product's name starts no formula.
"""

import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from io import BytesIO
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font_names
from matplotlib.rcsetup import cycler
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.typing import RcKeyType
from PIL import Image

from trainer.page import data_uri

# Okabe and Ito's palette without its black and yellow, which vanish on one of the two papers.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
INK, MUTED, LINE, PAPER = "#1f1c19", "#645d55", "#e3ddd5", "#ffffff"

# A page's colours by name: an inlined figure follows the page into the dark.
_PAGE_COLOURS = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--surface"}

PNG_DPI = 150

# After the first, whatever of these is installed draws the letters that it lacks.
_FONTS = (
    "DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei",
    "Arial Unicode MS", "Hiragino Sans", "Microsoft YaHei", "Noto Emoji", "Symbola",
)  # fmt: skip


@contextmanager
def drawing(width: int | float, height: int | float) -> Iterator[Figure]:
    """Give an empty figure; what is drawn on it inside the block has the project's style.

    The layout is constrained: labels make room for themselves. The style is a setting of the
    process while the block runs, so figures are drawn by one thread at a time.

    Args:
        width: inches; 8 fills a page's column.
        height: inches.
    """
    with matplotlib.rc_context(_style()):
        yield Figure(figsize=(width, height), layout="constrained")


def count_axis(axis: Axis) -> None:
    """Mark an axis of counts at whole numbers, thousands separated."""
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def shortened(text: str, room: int | float, points: int | float = 10, *, bold: bool = False) -> str:
    """Return the text, cut to what fits, with an ellipsis where something is missing.

    Args:
        text: one line; line breaks become spaces.
        room: inches.
        points: size of the letters.
        bold: whether they are.
    """
    weight = "bold" if bold else "normal"
    font = FontProperties(family=_style()["font.family"], size=points, weight=weight)

    # Measured as it will be drawn, boxes for letters that no font has included.
    renderer = FigureCanvasAgg(Figure((1, 1), dpi=PNG_DPI)).get_renderer()  # type: ignore[no-untyped-call]

    def inches(part: str) -> float:
        width, _, _ = renderer.get_text_width_height_descent(part, font, ismath=False)
        return float(width) / PNG_DPI

    text = " ".join(text.split())
    with _rendering():
        if inches(text) <= room:
            return text
        fitting = bisect_right(range(len(text)), room, key=lambda n: inches(text[:n] + "…"))
    return text[: max(fitting - 1, 0)].rstrip() + "…"


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file on white paper, `PNG_DPI` pixels an inch."""
    file = BytesIO()
    with _rendering():
        FigureCanvasAgg(figure).print_figure(file, format="png", dpi=PNG_DPI)
    return file.getvalue()


def raster(figure: Figure) -> Image.Image:
    """Return the figure as pixels, RGB on white paper, `PNG_DPI` an inch."""
    return Image.open(BytesIO(png(figure))).convert("RGB")


def png_uri(figure: Figure) -> str:
    """Return the figure as a PNG in a data: URI: smaller than SVG where there are many points."""
    return data_uri(png(figure), "image/png")


def inline_svg(figure: Figure) -> Markup:
    """Return the figure as SVG to stand inside a page, in the page's own colours.

    Letters are outlines, so that they look and measure the same everywhere; ids are made unique
    to the figure, so that several can stand in one page. The same figure gives the same text.
    """
    file = BytesIO()
    style: dict[RcKeyType, Any] = {"svg.hashsalt": "lookalike", "svg.fonttype": "path"}
    with _rendering(), matplotlib.rc_context(style):
        FigureCanvasSVG(figure).print_figure(
            file, format="svg", facecolor="none", metadata={"Date": None}
        )
    drawn = file.getvalue().decode()
    drawn = drawn[drawn.index("<svg") :]
    # Comments repeat the figure's texts, and the metadata links to vocabularies.
    drawn = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    prefix = f"f{sha256(drawn.encode()).hexdigest()[:8]}-"
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", drawn)
    for colour, name in _PAGE_COLOURS.items():
        drawn = drawn.replace(colour, f"var({name})")
    return Markup(drawn)  # noqa: S704 - matplotlib's own markup; texts are outlines by now


@cache
def _style() -> dict[RcKeyType, Any]:
    installed = set(get_font_names())
    return {
        "font.family": [name for name in _FONTS if name in installed] or ["sans-serif"],
        "font.size": 10,
        "text.color": INK,
        "text.parse_math": False,
        "axes.axisbelow": True,
        "axes.edgecolor": MUTED,
        "axes.facecolor": PAPER,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "figure.facecolor": PAPER,
        "grid.color": LINE,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "lines.linewidth": 2,
        "xtick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.color": MUTED,
        "ytick.labelcolor": INK,
    }


@contextmanager
def _rendering() -> Iterator[None]:
    """The style again: matplotlib makes its tick labels only when it draws.

    A letter that no installed font has is drawn as a box; that is no reason to warn.
    """
    with matplotlib.rc_context(_style()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield
