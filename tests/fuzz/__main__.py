"""Decode photos that a fuzzer invents, in a process of its own, and tell what it found.

    python -m tests.fuzz [--runs 200000] [--seconds 0] [--seed 0]

Corpus and findings lie in .cache/fuzz; each call goes on from the corpus of the last. A finding is
a file that breaks the promise or the process, and ends this with status 1. Give the file to
`python -m tests.fuzz.decode FILE` to see it again.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import MOST_BYTES, write_seeds

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "fuzz"
# Of one photo, both ways it is decoded: many times what any of this size takes.
SECONDS_OF_A_RUN = 10
MEGABYTES = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200_000, help="photos to decode")
    parser.add_argument("--seconds", type=int, default=0, help="at most so long; 0: no limit")
    parser.add_argument("--seed", type=int, default=0, help="of what is invented; 0: by chance")
    arguments = parser.parse_args()
    corpus, findings = FOLDER / "corpus", FOLDER / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    seeds = write_seeds(FOLDER / "seeds")
    before = set(findings.iterdir())
    command = [sys.executable, "-m", "tests.fuzz.decode", str(corpus), str(FOLDER / "seeds")]
    command += [f"-runs={arguments.runs}", f"-seed={arguments.seed}", f"-max_len={MOST_BYTES}"]
    command += [f"-max_total_time={arguments.seconds}", f"-timeout={SECONDS_OF_A_RUN}"]
    command += [f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={findings}/"]
    command += ["-print_final_stats=1"]
    path = f"{FOLDER / 'atheris'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            sys.stderr.write(line)
    found = sorted(set(findings.iterdir()) - before)
    runs = re.search(r"number_of_executed_units: (\d+)", "".join(told))
    print(
        f"{runs[1] if runs else 'Some'} photos decoded, from {seeds} seeds; "
        f"{len(list(corpus.iterdir()))} in the corpus, {len(found)} found:",
        *(found or ["nothing"]),
    )
    sys.exit(process.returncode or bool(found))


if __name__ == "__main__":
    main()
