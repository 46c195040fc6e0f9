"""`lookalike releases diff`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from trainer.cli.output import print_json

if TYPE_CHECKING:
    from trainer.release.registry.comparison import Changed, Comparison


@dataclass(frozen=True)
class Diff:
    """Say what differs between two releases: network, catalogue, figures, sizes."""

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    a: tyro.conf.Positional[str | None] = None
    """The older one; without it, the one that was current before."""
    b: tyro.conf.Positional[str | None] = None
    """The newer one; without it, the current one."""
    json: bool = False
    """Print the differences as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Compare and print."""
        from function.storage import open_storage
        from trainer.release.registry.comparison import compare

        found = compare(open_storage(self.root), self.a, self.b)
        if self.json:
            print_json(asdict(found))
        else:
            Console().print(f"{found.a} → {found.b}", *_tables(found), sep="\n\n", highlight=False)


def _tables(found: "Comparison") -> list[Table]:
    same_model = all(one == two for one, two in found.model.values())
    model = _table("Network" + (": the same" if same_model else ""))
    for name, (one, two) in found.model.items():
        if one != two:
            model.add_row(name, str(one), str(two), "")
    catalogue = Table("Catalogue", "", "", box=SIMPLE_HEAD, show_edge=False)
    for label, changed in (
        ("products added", found.added),
        ("products removed", found.removed),
        ("products changed", found.changed),
    ):
        catalogue.add_row(label, f"{changed.count:,}", _named(changed))
    catalogue.add_row("photos added", f"{found.photos_added:,}", "")
    catalogue.add_row("photos removed", f"{found.photos_removed:,}", "")
    return [
        model,
        catalogue,
        *(
            _figures(title, pairs)
            for title, pairs in (("Figures", found.metrics), ("Sizes", found.sizes))
        ),
    ]


def _named(changed: "Changed") -> str:
    more = ", …" if changed.count > len(changed.first) else ""
    return ", ".join(changed.first) + more


def _table(title: str) -> Table:
    table = Table(title, "before", "after", "difference", box=SIMPLE_HEAD, show_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _figures(title: str, pairs: Mapping[str, tuple[Any, Any]]) -> Table:
    table = _table(title)
    for name, (one, two) in pairs.items():
        numbers = all(isinstance(value, int | float) for value in (one, two))
        difference = _shown(two - one, sign="+") if numbers and one != two else ""
        table.add_row(name, _shown(one), _shown(two), difference)
    return table


def _shown(value: Any, sign: str = "") -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:{sign},.3f}"
    return f"{value:{sign},}" if isinstance(value, int) else str(value)
