"""A report is one file, safe whatever the catalogue's texts hold, and loads nothing."""

import base64
import re
from html.parser import HTMLParser
from importlib.resources import files
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image

from function.errors import UnsupportedImage
from trainer.figures import PALETTE, PNG_DPI, drawing, inline_svg, png, png_uri, raster, shortened
from trainer.page import (
    Illustration,
    Page,
    Photos,
    PhotoTile,
    Section,
    Table,
    Text,
    Tile,
    readable,
    render,
    thumbnail,
)

HOSTILE = """<script>alert(1)</script>"><img src=x onerror='a()'>{{ 7*7 }}"""

# What takes room where it stands: no controls, no marks that combine.
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Mn", "Lm", "Sk"])


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def photo(size: tuple[int, int] = (400, 200)) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize(size).save(file, "PNG")
    return file.getvalue()


def page(text: str) -> Page:
    """A page with this text wherever one can stand."""
    image = thumbnail(photo(), 40)
    return Page(
        title=text,
        subtitle=text,
        tiles=(Tile(text, text, text), Tile("photos", 12_345, alarm=True)),
        sections=(
            Section(text, (Text(text), Text(text, alarm=True))),
            Section("Numbers", (Table((text, "count"), ((text, 1_234), ("b", None)), text),)),
            Section("Photos", (Photos((PhotoTile(image, text, text, "wrong"),), text, text),)),
            Section("Figure", (Illustration(image, text, text),)),
        ),
        downloads=("stats.json",),
        footer=text,
    )


def allowed(elements: Elements) -> bool:
    """Whether nothing runs or loads, and no attribute handles events."""
    return all(
        tag not in ("script", "iframe", "object")
        and not any(name.startswith("on") for name in attributes)
        and (attributes.get("src") or "data:").startswith("data:")
        for tag, attributes in elements.found
    )


def test_hostile_texts_stay_texts_everywhere() -> None:
    elements = Elements(render(page(HOSTILE)))
    assert allowed(elements)
    assert elements.texts.count(HOSTILE) >= 12
    assert [a["alt"] for tag, a in elements.found if tag == "img"] == [HOSTILE, HOSTILE]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    elements = Elements(render(Page(title="t", sections=(Section("s", (Text(f"x{text}x"),)),))))
    assert allowed(elements)
    assert f"x{text}x" in "".join(elements.texts)


def test_the_page_forbids_its_reader_to_load_anything() -> None:
    policies = [
        attributes["content"]
        for tag, attributes in Elements(render(page("a"))).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'; img-src data:;")


def test_sections_are_linked_and_tables_tell_numbers_from_words() -> None:
    html = render(page("Near duplicates"))
    assert '<a href="#near-duplicates">' in html
    assert '<h2 id="near-duplicates">' in html
    assert '<td class="number">1,234</td>' in html
    assert '<td class="number">–</td>' in html
    assert "<td>Near duplicates</td>" in html


def test_the_templates_travel_with_the_package() -> None:
    names = {file.name for file in (files("trainer") / "pages").iterdir()}
    assert {"page.html", "blocks.html", "page.css"} <= names


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (1_234_567, "1,234,567"), (0.123456, "0.1235"), (12_345.6, "12,346"), ("a", "a")],
)
def test_numbers_are_shown_as_people_read_them(value: str | float | None, shown: str) -> None:
    assert readable(value) == shown


def test_a_thumbnail_is_a_small_jpeg_in_the_photos_proportions() -> None:
    kind, _, encoded = thumbnail(photo((400, 200)), 80).partition(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(BytesIO(base64.b64decode(encoded)))
    assert (image.format, image.size) == ("JPEG", (80, 40))


def test_a_thumbnail_of_no_photo_is_an_error() -> None:
    with pytest.raises(UnsupportedImage):
        thumbnail(b"no photo")


def figure_svg(name: str = "$x_1$ 日本 \U0001f600 <b>&") -> Markup:
    with drawing(4, 3) as figure:
        axes = figure.subplots()
        axes.bar([name], [3], color=PALETTE[0])
        axes.set_title(name)
    return inline_svg(figure)


def test_an_inline_figure_loads_nothing_and_follows_the_pages_colours() -> None:
    svg = figure_svg()
    assert svg.startswith("<svg")
    assert "var(--ink)" in svg
    assert PALETTE[0] in svg
    assert not re.search(r'href="(?!#)|<script|<!--|<style>@import', svg)
    assert allowed(Elements(svg))


def test_figures_in_one_page_share_no_id_and_the_same_figure_is_the_same_text() -> None:
    def ids(svg: Markup) -> set[str]:
        return set(re.findall(r'\bid="([^"]+)"', svg))

    first, second = figure_svg("a"), figure_svg("b")
    assert ids(first)
    assert not ids(first) & ids(second)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', first)) <= ids(first)
    assert figure_svg("a") == first


def test_a_figure_stands_in_a_page_unescaped_with_its_alternative_text() -> None:
    svg = figure_svg()
    html = render(Page("t", (Section("s", (Illustration(svg, "caption", 'al"t'),)),)))
    assert svg in html
    assert 'role="img" aria-label="al&#34;t"' in html


def test_a_png_figure_has_the_size_that_was_asked() -> None:
    with drawing(4, 3) as figure:
        figure.subplots().plot([0, 1], [0, 1])
    assert Image.open(BytesIO(png(figure))).size == (600, 450)
    assert png_uri(figure).startswith("data:image/png;base64,")
    assert raster(figure).size == (600, 450)


@given(
    text=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Mn", "Lm", "Sk"]),
        max_size=60,
    ),
    room=st.floats(0.3, 3),
)
@settings(max_examples=30)
def test_a_shortened_text_fits_and_begins_as_the_text_does(text: str, room: float) -> None:
    shown = shortened(text, room, 8)
    whole = " ".join(text.split())
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]))
    with drawing(6, 1) as figure:
        figure.text(0.1, 0.4, shown, fontsize=8)
    ink = np.flatnonzero((np.asarray(raster(figure).convert("L")) < 200).any(axis=0))
    assert not ink.size or ink[-1] - ink[0] <= (room + 0.05) * PNG_DPI


def test_a_text_is_cut_only_where_it_must_be() -> None:
    assert shortened("short", 2) == "short"
    cut = shortened("a long name " * 9, 2)
    assert 15 < len(cut) < 40
    assert len(shortened("a long name " * 9, 2, bold=True)) < len(cut)
