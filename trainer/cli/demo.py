"""`lookalike demo`: the whole path in one command."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from trainer.cli.output import print_json
from trainer.training.allocation import keep_freed_memory


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
        keep_freed_memory()
        from trainer import demo, serving

        outcome = demo.run(catalog=self.catalog, weights=self.weights, root=self.root)
        if self.json:
            print_json(outcome.to_dict())
        else:
            Console().print(outcome.table())
        if self.serve:
            serving.serve(str(outcome.root), host="127.0.0.1", port=self.port)
