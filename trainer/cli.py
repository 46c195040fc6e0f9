"""The command line: `lookalike …`, or `python -m trainer …`.

Each command is a dataclass: its fields are the options, their docstrings the help, and calling it
does the work. Rooms are imported by the command that needs them, so that `--help` is quick.
"""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from function.errors import FunctionError
from trainer import experiments
from trainer.errors import LookalikeError
from trainer.progress import console
from trainer.training.experiment import Experiment

type OnBadPhoto = Literal["skip", "fail"]


def _print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


@dataclass(frozen=True)
class Demo:
    """From nothing to a running shop window: photos, training, evaluation, release, function.

    Without a catalogue it makes its own, of synthetic product photos: no download, no cloud. Run it
    again and it goes on where it was, or starts the function at once.
    """

    catalog: str | None = None
    """A catalogue of yours: folder, tar, CSV, JSON Lines or Parquet. Default: a synthetic one."""
    weights: Path | None = None
    """Pretrained ResNet weights (.npz or .safetensors), used as they are: no training."""
    root: Path | None = None
    """Where everything is kept. Default: .lookalike/NAME, with the catalogue's name."""
    port: int = 8080
    """Where the function listens, on 127.0.0.1."""
    serve: bool = True
    """Start the function at the end; --no-serve stops after publishing."""
    json: bool = False
    """Print the results as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Make or reuse the demo, print its results, serve it."""
        from trainer import demo, serving

        outcome = demo.run(catalog=self.catalog, weights=self.weights, root=self.root)
        if self.json:
            _print_json(outcome.to_dict())
        else:
            Console().print(outcome.table())
        if self.serve:
            serving.serve(str(outcome.root), host="127.0.0.1", port=self.port)


@dataclass(frozen=True)
class Studio:
    """Make a catalogue of synthetic product photos."""

    out: Path
    """The folder to write: metadata.csv and images/."""
    products: int = 300
    """How many products."""
    photos_per_product: int = 10
    """How many photos of each."""
    image_size: int = 96
    """Width and height in pixels."""
    seed: int = 0
    """Another seed, other products."""
    json: bool = False
    """Print what was made as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Write the catalogue; go on with one that was interrupted."""
        from trainer.data.studio import write_studio_catalog

        write_studio_catalog(
            self.out,
            products=self.products,
            photos_per_product=self.photos_per_product,
            seed=self.seed,
            image_size=self.image_size,
        )
        if self.json:
            _print_json({"catalog": str(self.out), "products": self.products})
        else:
            console.print(f"[green]✓[/] {self.out}: {self.products} products")


@dataclass(frozen=True)
class Check:
    """Read a catalogue and all its photos, and say what is in it."""

    catalog: tyro.conf.Positional[str]
    """Folder, tar, CSV, JSON Lines or Parquet file."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    report: Path = Path("bad_photos.csv")
    """Where unreadable photos are listed; replaced by each check, removed if there are none."""
    json: bool = False
    """Print the summary as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Print the summary."""
        from trainer.data.catalog import open_catalog
        from trainer.data.screen import screen
        from trainer.data.summary import describe

        catalog = open_catalog(self.catalog)
        screened = screen(catalog, on_bad_photo=self.on_bad_photo, report=self.report)
        summary = describe(screened) | {"bad_photos": len(catalog.photos) - len(screened.photos)}
        if self.json:
            _print_json(summary)
            return
        table = Table("", catalog.name, show_edge=False)
        for key, value in summary.items():
            table.add_row(key.replace("_", " "), _readable(value))
        Console().print(table)


@dataclass(frozen=True)
class Data:
    """Catalogues: make a synthetic one, or check one of yours."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Studio, tyro.conf.subcommand("studio")]
        | Annotated[Check, tyro.conf.subcommand("check")]
    ]

    def __call__(self) -> None:
        """Do what the chosen command does."""
        self.command()


@dataclass(frozen=True)
class Train:
    """Train a network on a catalogue, so that photos of one product come to lie together.

    Run the same command again after an interruption and it goes on from the last checkpoint.
    """

    catalog: str
    """Folder, tar, CSV, JSON Lines or Parquet file."""
    run: str
    """Where checkpoints, logs and reports go: a folder or gs://bucket/prefix."""
    settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=Experiment)
    """What to train and how; these options override the named experiment's values."""
    experiment: str = "default"
    """A named experiment to start from."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the summary as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Train, or go on training."""
        from trainer.data.catalog import open_catalog
        from trainer.training.loop import train

        summary = train(
            open_catalog(self.catalog), self.run, self.settings, on_bad_photo=self.on_bad_photo
        )
        if self.json:
            _print_json(summary.to_dict())


@dataclass(frozen=True)
class Evaluate:
    """Measure how often the right product comes first, on products the run never saw.

    On another catalogue than the run's own, all of it is used.
    """

    run: str
    """The run to evaluate: a folder or gs://bucket/prefix."""
    catalog: str
    """Folder, tar, CSV, JSON Lines or Parquet file."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the results as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Evaluate and print."""
        from trainer.data.catalog import open_catalog
        from trainer.evaluation.evaluate import evaluate

        results = evaluate(self.run, open_catalog(self.catalog), on_bad_photo=self.on_bad_photo)
        if self.json:
            _print_json(results)
        else:
            Console().print(_metrics_table(results))
            console.print(f"In {self.run}: the figures as JSON, and pictures as retrieval*.png")


@dataclass(frozen=True)
class Publish:
    """Make a release of a run and a catalogue, and point the function at it."""

    run: str
    """The run whose network serves: a folder or gs://bucket/prefix."""
    catalog: str
    """The products to find: folder, tar, CSV, JSON Lines or Parquet file."""
    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    image_base_url: str | None = None
    """Where <root>/images is public, as a CDN; else the function serves the photos itself."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the release as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Publish and print the release's id."""
        from trainer.data.catalog import open_catalog
        from trainer.release.from_run import publish_run

        release_id = publish_run(
            self.run,
            open_catalog(self.catalog),
            self.root,
            image_base_url=self.image_base_url,
            on_bad_photo=self.on_bad_photo,
        )
        if self.json:
            _print_json({"release_id": release_id, "root": self.root})
        else:
            console.print(f"[green]✓[/] Release {release_id} is current in {self.root}")


@dataclass(frozen=True)
class Serve:
    """Start the function on this machine, as it runs in the cloud, with its demo page."""

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    port: int = 8080
    """The port to listen on."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 lets other machines in."""
    engine: Literal["openvino", "jax"] = "openvino"
    """What runs the network: openvino is fastest on a CPU, jax uses a GPU or TPU."""

    def __call__(self) -> None:
        """Serve until interrupted."""
        from trainer import serving

        serving.serve(self.root, host=self.host, port=self.port, engine=self.engine)


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
            _print_json(results)
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


@dataclass(frozen=True)
class Releases:
    """List the releases in a root, newest first; choose the one that is served."""

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    use: str | None = None
    """Make this release the current one: to roll back, or forward again."""
    json: bool = False
    """Print the list as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """List, after pointing at `use` if it is given."""
        from trainer import serving

        if self.use is not None:
            serving.use_release(self.root, self.use)
        releases = serving.releases(self.root)
        if self.json:
            _print_json(releases)
            return
        table = Table("", "Release", "Created", "Products", "Photos", "Index", show_edge=False)
        for release in releases:
            table.add_row(
                "current" if release["current"] else "",
                release["release_id"],
                release["created"],
                str(release["products"]),
                str(release["images"]),
                f"{release['index']}, recall@10 {release['recall_at_10']:.3f}",
            )
        Console().print(table)


def _readable(value: object) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_readable(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _metrics_table(results: Mapping[str, Any]) -> Table:
    table = Table("", "R@1", "R@5", "R@10", "R@100", "MAP@R", "Queries", show_edge=False)
    labels = {"query_to_catalog": "photo → catalogue", "leave_one_out": "leave-one-out"}
    names = ("recall_at_1", "recall_at_5", "recall_at_10", "recall_at_100", "map_at_r")
    for key, label in labels.items():
        if metrics := results[key]:
            table.add_row(
                label, *(f"{metrics[name]:.1%}" for name in names), f"{metrics['queries']:,}"
            )
    return table


def _named_experiment(argv: Sequence[str]) -> Experiment:
    """The experiment whose values the other options of `train` override."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--experiment", default="default")
    return experiments.load(parser.parse_known_args(argv)[0].experiment)


def _parse(argv: Sequence[str]) -> Any:
    named = _named_experiment(argv)

    @dataclass(frozen=True)
    class TrainNamed(Train):
        __doc__ = f"{Train.__doc__}Named experiments: {', '.join(experiments.names())}."
        settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=lambda: named)
        """What to train and how; these options override the named experiment's values."""

    commands = (
        Annotated[Demo, tyro.conf.subcommand("demo")]
        | Annotated[Data, tyro.conf.subcommand("data")]
        | Annotated[TrainNamed, tyro.conf.subcommand("train")]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Publish, tyro.conf.subcommand("publish")]
        | Annotated[Serve, tyro.conf.subcommand("serve")]
        | Annotated[Search, tyro.conf.subcommand("search")]
        | Annotated[Releases, tyro.conf.subcommand("releases")]
    )
    return tyro.cli(
        commands,
        args=argv,
        prog="lookalike",
        config=(tyro.conf.FlagCreatePairsOff,),
        description="Photo in, the shop's similar products out: train, publish and serve.",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exit with 1 and a message where it cannot be done, 2 for wrong options."""
    try:
        _parse(sys.argv[1:] if argv is None else argv)()
    except BrokenPipeError:
        # The reader went away, as `head` does. Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (LookalikeError, FunctionError, OSError) as error:
        console.print(f"[red]✗[/] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("Interrupted. Run the same command again to go on.")
        sys.exit(130)
