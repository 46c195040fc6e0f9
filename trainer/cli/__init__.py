"""The command line: `lookalike …`, or `python -m trainer …`.

Each command is a dataclass: its fields are the options, their docstrings the help, and calling it
does the work. Rooms are imported by the command that needs them, so that `--help` is quick.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from function.errors import FunctionError
from trainer.cli.data import Data
from trainer.cli.demo import Demo
from trainer.cli.evaluate import Evaluate
from trainer.cli.key import Key
from trainer.cli.publish import Publish
from trainer.cli.releases import Releases
from trainer.cli.report import Report
from trainer.cli.search import Search
from trainer.cli.serve import Serve
from trainer.cli.smoke import Smoke
from trainer.cli.sweep import sweep_command
from trainer.cli.train import train_command
from trainer.errors import LookalikeError
from trainer.progress import console


def _parse(argv: Sequence[str]) -> Any:
    return tyro.extras.subcommand_cli_from_dict(
        {
            "demo": Demo,
            "data": Data,
            "train": train_command(argv),
            "evaluate": Evaluate,
            "sweep": sweep_command(argv),
            "report": Report,
            "publish": Publish,
            "serve": Serve,
            "search": Search,
            "releases": Releases,
            "smoke": Smoke,
            "key": Key,
        },
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
        # Quiet in all processes of a cluster but one; what went wrong in the others must be said.
        console.quiet = False
        console.print(f"[red]✗[/] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("Interrupted. Run the same command again to go on.")
        sys.exit(130)
