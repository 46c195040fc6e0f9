"""XLA's compiled programs, kept from one process to the next."""

import os
from pathlib import Path

import jax


def keep_compiled_programs() -> None:
    """Keep programs that took long to compile in the user's cache folder: the next start is quick.

    The folder is `$XDG_CACHE_HOME/lookalike/xla`, else `~/.cache/lookalike/xla`;
    JAX_COMPILATION_CACHE_DIR, where set, decides instead. Programs are found again by their code,
    the processor's abilities and jax's version. Where the folder cannot be made, nothing is kept.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(home).expanduser() / "lookalike" / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))  # type: ignore[no-untyped-call]
