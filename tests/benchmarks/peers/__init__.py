"""The peers (PyTorch, pytorch-metric-learning, Grain, FAISS, …), in an environment of their own.

Each script here runs under that environment's Python, which does not have the project: it imports
nothing of it, takes arguments and files (`.npz`, `.npy`), and prints one JSON object on stdout.
`make peers` makes the environment.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
PYTHON = REPOSITORY / ".cache" / "peers" / "bin" / "python"


def run_peer(script: str, *arguments: object) -> dict[str, Any]:
    """Run `tests/benchmarks/peers/SCRIPT.py` with the peers' Python and return what it printed.

    Raises:
        FileNotFoundError: there is no such environment yet.
        subprocess.CalledProcessError: the script failed; its stderr is shown.
    """
    if not PYTHON.exists():
        raise FileNotFoundError(f"no {PYTHON}: make it with `make peers`")
    path = Path(__file__).with_name(f"{script}.py")
    done = subprocess.run(
        [PYTHON, path, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result
