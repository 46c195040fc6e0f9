"""`python -m trainer` is the `lookalike` command."""

from trainer.cli import main

main()
