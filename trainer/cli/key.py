"""`lookalike key`: an access key for the function."""

from dataclasses import dataclass

import tyro
from rich.console import Console

from trainer.cli.output import print_json
from trainer.errors import LookalikeError


@dataclass(frozen=True)
class Key:
    """Make an access key: the key for who calls the function, its hash for the function's file.

    The function answers only who sends a key once LOOKALIKE_API_KEYS names a file of such lines.
    """

    name: tyro.conf.Positional[str]
    """Whose key it is, for the function's log: letters, digits, points, hyphens, underscores."""
    origins: tuple[str, ...] = ()
    """Whose pages alone may use it, as https://shop.example. This stops no program."""
    json: bool = False
    """Print both as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Print the key, which is kept nowhere, and the line for the file."""
        from function.access import make_key
        from function.settings import BadSetting, parse_origins

        try:
            key, entry = make_key(self.name, parse_origins(",".join(self.origins)))
        except BadSetting as error:
            raise LookalikeError(f"Expected {error}.") from None
        if self.json:
            print_json({"name": entry.name, "key": key, "line": entry.line})
            return
        out = Console(soft_wrap=True, highlight=False, markup=False)
        out.print(f"The key, shown this once, for the header X-Api-Key:\n\n    {key}\n")
        out.print(f"Its line for the file of LOOKALIKE_API_KEYS:\n\n    {entry.line}")
