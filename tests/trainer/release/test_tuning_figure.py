"""The picture of a tuning shows every setting that was measured."""

from dataclasses import replace
from io import BytesIO

import matplotlib.axes
import pytest
from PIL import Image

from function.manifest import IndexSetting
from trainer.release.indexing import BuiltIndex
from trainer.release.tuning_figure import tuning_png

EXACT = IndexSetting("exact", "float32", 0, 0, 0, 1.0, 5.0, 120.0)
TREES = [
    IndexSetting("scann", row_type, 50, leaves, reorder, 0.9 + leaves / 100, leaves / 20, 40.0)
    for row_type in ("float32", "int16", "int8")
    for reorder in (50, 100, 200)
    for leaves in (2, 5, 9)
]
FINER = [replace(tree, leaves=100, ms=tree.ms / 3) for tree in TREES]


@pytest.mark.parametrize(
    ("curve", "labels"), [([EXACT], 2), ([EXACT, *TREES], 11), ([EXACT, *FINER, *TREES], 13)]
)
def test_every_setting_is_a_point_and_the_served_one_is_marked(
    curve: list[IndexSetting], labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, float, str]] = []
    plot = matplotlib.axes.Axes.plot

    def recorded(axes: matplotlib.axes.Axes, ms: object, recall: object, **style: object) -> object:
        lines = plot(axes, ms, recall, **style)
        for x, y in lines[0].get_xydata():
            drawn.append((float(x), float(y), str(style["label"])))
        return lines

    monkeypatch.setattr(matplotlib.axes.Axes, "plot", recorded)
    picture = Image.open(BytesIO(tuning_png(BuiltIndex(0.99, curve[-1], tuple(curve)))))
    assert picture.format == "PNG"
    assert picture.size == (1200, 675)
    served = [point for *point, label in drawn if label == "served"]
    assert served == [[curve[-1].ms, curve[-1].recall_at_10]]
    points = {(x, y) for x, y, label in drawn if label != "served"}
    assert points == {(setting.ms, setting.recall_at_10) for setting in curve}
    # A tree of other leaves has one name for all of its lines.
    assert len({label for *_, label in drawn}) == labels
