"""One experiment from several seeds: what of its result is the method, and what is luck.

The seed decides the split, the initial weights, the order of batches and their augmentation, so
that the deviation holds all of these. On figures without it: Musgrave, Belongie, Lim: A Metric
Learning Reality Check, ECCV 2020. https://arxiv.org/abs/2003.08505
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from function.storage import open_storage
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto
from trainer.errors import TrainingError
from trainer.evaluation.evaluate import evaluate
from trainer.progress import console
from trainer.tracking import TrackerName
from trainer.training.experiment import Experiment
from trainer.training.loop import train
from trainer.training.run import Run

SWEEP = "sweep"

_TASKS = {"query_to_catalog": "photo → catalogue", "leave_one_out": "leave-one-out"}


@dataclass(frozen=True)
class Spread:
    """One metric over the seeds."""

    values: tuple[float, ...]
    """As fractions, in the order of the seeds."""

    @property
    def mean(self) -> float:
        """Their mean."""
        return mean(self.values)

    @property
    def deviation(self) -> float | None:
        """Their sample standard deviation, with n − 1 below the line; None for a single seed."""
        return stdev(self.values) if len(self.values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types."""
        return {"values": list(self.values), "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Sweep:
    """What several seeds of an experiment gave."""

    seeds: tuple[int, ...]
    """In the order asked."""
    runs: tuple[str, ...]
    """Where each seed's run lies."""
    metrics: Mapping[str, Mapping[str, Spread]]
    """By task, then by metric; a task that the catalogue does not allow is left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types."""
        return {
            "seeds": list(self.seeds),
            "runs": list(self.runs),
            "metrics": {
                task: {name: spread.to_dict() for name, spread in spreads.items()}
                for task, spreads in self.metrics.items()
            },
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table in percent, its head first: metric, each seed, mean ± deviation."""
        total = "mean ± deviation" if len(self.seeds) > 1 else "one seed: no deviation"
        table = [("", *(f"seed {seed}" for seed in self.seeds), total)]
        for task, spreads in self.metrics.items():
            for name, spread in spreads.items():
                label = f"{_TASKS[task]} {name.replace('recall_at_', 'R@').replace('_', ' ')}"
                table.append((label, *(f"{v:.1%}" for v in spread.values), _percent(spread)))
        return table

    def markdown(self) -> str:
        """Return that table as Markdown."""
        head, *body = self.rows()
        rule = ("---", *("---:" for _ in head[1:]))
        return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *body))


def sweep(
    catalog: Catalog,
    out_url: str,
    experiment: Experiment,
    seeds: Sequence[int],
    *,
    trackers: Sequence[TrackerName] = ("tensorboard",),
    on_bad_photo: OnBadPhoto = "skip",
) -> Sweep:
    """Train and evaluate each seed, or what of it is missing, and sum up.

    Each seed's run lies in seed-N below `out_url`, a run as any other. sweep.json and sweep.md
    there hold the result; they are written anew after each seed.

    Args:
        catalog: as opened.
        out_url: a folder or gs://bucket/prefix.
        experiment: what to train; its own seed does not matter.
        seeds: one or more, each once.
        trackers: where curves go, beside each run's curves.jsonl.
        on_bad_photo: "skip" lists unreadable photos in each run; "fail" raises.

    Raises:
        TrainingError: no seed, or one twice; and as `train`.
        CatalogError, WeightsError: as `train`.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise TrainingError(
            f"Seeds of a sweep: expected one or more, each once; found {list(seeds)}."
        )
    storage = open_storage(out_url)
    runs: list[str] = []
    results: list[Mapping[str, Any]] = []
    for seed in seeds:
        runs.append(f"{storage.url}/seed-{seed}")
        console.print(f"Seed {seed}, {len(runs)} of {len(seeds)}: {runs[-1]}", highlight=False)
        seeded = replace(experiment, seed=seed)
        summary = train(catalog, runs[-1], seeded, trackers=trackers, on_bad_photo=on_bad_photo)
        summary.check_not_interrupted()
        results.append(_result(catalog, runs[-1], seeded, on_bad_photo))
        found = Sweep(tuple(seeds[: len(runs)]), tuple(runs), _spreads(results))
        data = json.dumps(found.to_dict(), indent=2) + "\n"
        storage.write(f"{SWEEP}.json", data.encode(), content_type="application/json")
        storage.write(f"{SWEEP}.md", found.markdown().encode(), content_type="text/markdown")
    return found


def _result(
    catalog: Catalog, run_url: str, experiment: Experiment, on_bad_photo: OnBadPhoto
) -> Mapping[str, Any]:
    """What `evaluate` says of the trained run: what it said before, if that was of the same."""
    before = Run(run_url).read_json("evaluation.json")
    if before and (before["step"], before["catalog"]) == (experiment.steps, catalog.fingerprint):
        return before
    return evaluate(run_url, catalog, on_bad_photo=on_bad_photo)


def _spreads(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Spread]]:
    spreads: dict[str, dict[str, Spread]] = {}
    for task in _TASKS:
        found = [result[task] for result in results]
        if all(found):
            # A metric is not known where no query of that seed's split has anything to find.
            known = [n for n in found[0]["confidence_95"] if all(f[n] is not None for f in found)]
            spreads[task] = {name: Spread(tuple(f[name] for f in found)) for name in known}
    return spreads


def _percent(spread: Spread) -> str:
    if spread.deviation is None:
        return f"{spread.mean:.1%}"
    return f"{100 * spread.mean:.1f} ± {100 * spread.deviation:.1f} %"
