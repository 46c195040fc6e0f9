"""`lookalike search`: one answer without a server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from trainer.cli.output import print_json


@dataclass(frozen=True)
class Search:
    """Find the products that look like the one in a photo, without a server."""

    photo: tyro.conf.Positional[Path]
    """The photo."""
    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    page_size: int = 10
    """How many products to return."""
    engine: Literal["openvino", "jax"] = "openvino"
    """What runs the network."""
    json: bool = False
    """Print the answer as JSON on stdout, as the function would give it."""

    def __call__(self) -> None:
        """Search and print."""
        from trainer import serving

        results = serving.search(
            self.photo, self.root, page_size=self.page_size, engine=self.engine
        )
        if self.json:
            print_json(results)
            return
        table = Table("Score", "Product", "Title", "Image", show_edge=False)
        for result in results["productSearchResults"]["results"]:
            product = result["product"]
            table.add_row(
                f"{result['score']:.3f}",
                product["name"].removeprefix("products/"),
                product["displayName"],
                result["imageUrl"],
            )
        Console().print(table)
