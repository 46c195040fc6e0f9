"""Compiled programs are kept for the next process, where a place for them can be had."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import jax
from trainer.training.compilation import keep_compiled_programs
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
keep_compiled_programs()
jax.jit(lambda x: x * 3.0 + 1.0)(2.0).block_until_ready()
print(jax.config.jax_compilation_cache_dir)
"""


def kept_in(**variables: str) -> str:
    """In a process of its own: the setting is JAX's own, and read once."""
    names = ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_programs_are_kept_in_the_users_cache_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "lookalike" / "xla"
    assert kept_in(XDG_CACHE_HOME=str(tmp_path / "cache")) == str(folder)
    assert list(folder.iterdir())
    home = tmp_path / "home"
    assert kept_in(HOME=str(home)) == str(home / ".cache" / "lookalike" / "xla")


def test_a_folder_that_jax_was_given_decides(tmp_path: Path) -> None:
    chosen = str(tmp_path / "chosen")
    found = kept_in(JAX_COMPILATION_CACHE_DIR=chosen, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert found == chosen
    assert not (tmp_path / "cache").exists()


def test_where_no_folder_can_be_made_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert kept_in(XDG_CACHE_HOME=str(tmp_path / "file")) == "None"
