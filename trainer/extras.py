"""Packages that only some options need: installed as an extra, imported where they are used."""

from importlib import import_module

from trainer.errors import LookalikeError


def require(module: str, extra: str, purpose: str) -> None:
    """Import a module of an extra, so that its absence is said before anything is done.

    Args:
        module: by its full name.
        extra: which brings it, as pyproject.toml names it.
        purpose: what needs it, for people: "Curves for wandb".

    Raises:
        LookalikeError: it is not installed.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise LookalikeError(
            f"{purpose}: expected its package, found none ({error}). "
            f'Install it with: make setup EXTRAS="{extra}"'
        ) from error
