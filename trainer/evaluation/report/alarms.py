"""Signs that training went wrong without saying so: collapse, idle batches, starved input.

Each check gives what it found and one sentence; its threshold is a constant here, with its reason.
A check whose figures are missing is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.evaluation.report.similarities import Similarities
from trainer.evaluation.report.spectrum import Spectrum

# A batch is a sample of the shop. Where fewer than one photo in ten is moved, ten batches are
# worth one: the loss or the miner is satisfied, and more steps hardly teach.
ACTIVE_SHARE = 0.1

# A batch of zero loss costs a full step and changes nothing; one in ten is a tenth of the time.
ZERO_LOSS_SHARE = 0.1

# P products of different looks span P - 1 directions. Under a fifth of them the products share a
# few directions: dimensional collapse (Jing et al., Understanding dimensional collapse in
# contrastive self-supervised learning, ICLR 2022).
BATCH_RANK_SHARE = 0.2

# As photos of a product come together the rank settles near P - 1, from whatever is above it. Half
# of what it had reached of these being lost again is no settling.
BATCH_RANK_FALL = 0.5

# Of the directions that there are, a tenth or less: a vector of a tenth of the length would do.
RANK_SHARE = 0.1

# Cosines of unrelated directions are near 0 in tens of dimensions. From 0.5 on, where the usual
# margins of the losses begin, any two photos look related: the vectors crowd into one corner.
NEGATIVE_SIMILARITY = 0.5

# Above this, more than one query in a hundred is decided by the order of equal vectors.
TIES = 0.01

# The chip idles for a fifth of the time: more decoding threads pay at once.
INPUT_WAIT = 0.2

# Of the logged steps, those at the end speak of the network that is kept.
_TAIL = 0.2


@dataclass(frozen=True)
class Check:
    """One sign.

    Attributes:
        name: what was looked at.
        found: the figure, for people.
        fine: False asks a person to look.
        reason: one sentence: what it means, and from where on it would mean otherwise.
    """

    name: str
    found: str
    fine: bool
    reason: str


def training_checks(
    curves: Sequence[Mapping[str, Any]], products_per_batch: int, embedding_dim: int
) -> list[Check]:
    """Look at the training curves.

    Args:
        curves: the logged steps in order; any value may be missing.
        products_per_batch: of the experiment.
        embedding_dim: length of a vector.
    """
    return [
        *_active(curves),
        *_zero_loss(curves),
        *_batch_rank(curves, min(products_per_batch - 1, embedding_dim)),
        *_input_wait(curves),
    ]


def embedding_checks(
    spread: Spectrum, found: Similarities, products: int, figures: Mapping[str, Any]
) -> list[Check]:
    """Look at the evaluated vectors.

    Args:
        spread: of the vectors.
        found: of their pairs.
        products: how many they show.
        figures: of the search that is shown first, as `averages.summary` gives them.
    """
    return [*_rank(spread, products), *_negatives(found), *_ties(figures)]


def baseline_check(
    figures: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> list[Check]:
    """Compare R@1 with what needs no learning.

    Args:
        figures: as `averages.summary` gives them.
        baselines: the same of each baseline, by name.
    """
    recalls = {
        name: measured["recall_at_1"]
        for name, measured in baselines.items()
        if measured.get("recall_at_1") is not None
    }
    recall, interval = figures["recall_at_1"], figures["confidence_95"]["recall_at_1"]
    if not recalls or recall is None or interval[0] is None:
        return []
    name = max(recalls, key=lambda name: recalls[name])
    best, called = recalls[name], name.replace("_", " ")
    fine = interval[0] > best
    return [
        Check(
            "Better than no learning",
            f"{recall:.1%} against {best:.1%}",
            fine,
            f"R@1 is above the best baseline's ({called}), its whole 95 % interval too."
            if fine
            else f"The 95 % interval of R@1 begins at {interval[0]:.1%}, not above the best "
            f"baseline's ({called}): nothing is shown to be learned.",
        )
    ]


def _series(curves: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in curves if row.get(name) is not None], np.float64)


def _tail(values: np.ndarray) -> np.ndarray:
    return values[-max(1, round(values.size * _TAIL)) :]


def _active(curves: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    values = _series(curves, "active_share")
    if values.size:
        share = float(_tail(values).mean())
        fine = share >= ACTIVE_SHARE
        yield Check(
            "Anchors that still teach",
            f"{share:.0%} at the end",
            fine,
            f"The loss moves {share:.0%} of a batch's photos; "
            + (
                f"under {ACTIVE_SHARE:.0%} most of a step would be wasted."
                if fine
                else f"under {ACTIVE_SHARE:.0%} most of a step is wasted. Harder batches, a larger "
                "margin, a memory of earlier batches, or fewer steps."
            ),
        )


def _zero_loss(curves: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    values = _series(curves, "loss")
    if values.size:
        share = float((values == 0).mean())
        fine = share <= ZERO_LOSS_SHARE
        yield Check(
            "Zero-loss batches",
            f"{share:.0%} of {values.size:,} logged",
            fine,
            f"{'Batches' if share else 'No logged batch'}"
            f"{' without any loss change nothing' if share else ' was without loss'}; "
            + (
                f"more than {ZERO_LOSS_SHARE:.0%} would be time lost."
                if fine
                else f"more than {ZERO_LOSS_SHARE:.0%} is time lost. Harder batches or fewer steps."
            ),
        )


def _batch_rank(curves: Sequence[Mapping[str, Any]], most: int) -> Iterator[Check]:
    values = _series(curves, "embedding_rank")
    if values.size and most > 0:
        last, highest = float(_tail(values).mean()), float(values.max())
        fell = last < BATCH_RANK_FALL * min(highest, most)
        low = last < BATCH_RANK_SHARE * most
        means = {
            (False, False): f"A batch's products can span {most} directions; under "
            f"{BATCH_RANK_SHARE * most:.1f}, or if half of what was reached of them were lost "
            "again, they would be collapsing.",
            (False, True): f"Under {BATCH_RANK_SHARE:.0%} of the {most} directions that a batch's "
            "products could span: they share a few. A lower learning rate, or stronger negatives.",
            (True, False): f"It had reached {min(highest, most):.1f} of the {most} directions that "
            "a batch's products can span: more than half is lost again. Look at where it falls, "
            "and lower the learning rate.",
        }
        yield Check(
            "Embedding rank while training",
            f"{last:.1f} at the end, {highest:.1f} at most",
            not (fell or low),
            means.get((fell, low), means[False, True]),
        )


def _input_wait(curves: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    values = _series(curves, "input_wait")
    if values.size:
        share = float(np.median(values))
        fine = share <= INPUT_WAIT
        yield Check(
            "Waiting for photos",
            f"{share:.0%} of the time",
            fine,
            f"The chip waits for its input {share:.0%} of the time; "
            + (
                f"above {INPUT_WAIT:.0%} decoding would be the limit."
                if fine
                else f"above {INPUT_WAIT:.0%} decoding is the limit: more processors, or smaller "
                "stored photos."
            ),
        )


def _rank(spread: Spectrum, products: int) -> Iterator[Check]:
    most = min(spread.variances.size, products - 1)
    if most > 0:
        rank = spread.effective_rank
        fine = rank >= RANK_SHARE * most
        yield Check(
            "Effective rank of the embeddings",
            f"{rank:.1f} of {spread.variances.size} dimensions",
            fine,
            f"{products:,} products can span {most:,} directions; under {RANK_SHARE * most:.1f}, "
            f"{RANK_SHARE:.0%} of them, "
            + (
                "it would be collapse."
                if fine
                else "it is collapse: what tells products apart along the others is lost."
            ),
        )


def _negatives(found: Similarities) -> Iterator[Check]:
    if found.known:
        mean = found.negative_mean
        fine = mean < NEGATIVE_SIMILARITY
        yield Check(
            "Distance between different products",
            f"mean cosine {mean:.2f}",
            fine,
            f"Photos of different products have a mean cosine of {mean:.2f}, of one product "
            f"{found.positive_mean:.2f}; "
            + (
                f"from {NEGATIVE_SIMILARITY} on everything would lie in one corner."
                if fine
                else f"from {NEGATIVE_SIMILARITY} on everything lies in one corner: thresholds on "
                "the score mean little, and the loss sees no negative as easy."
            ),
        )


def _ties(figures: Mapping[str, Any]) -> Iterator[Check]:
    low, high = figures["recall_at_1"], figures["optimistic"]["recall_at_1"]
    if low is not None and high is not None:
        fine = high - low <= TIES
        yield Check(
            "Ties",
            f"{high - low:.1%} of queries",
            fine,
            "Queries whose first answer depends on the order of equal vectors; "
            + (
                f"above {TIES:.0%} photos of different products would have become one point."
                if fine
                else f"above {TIES:.0%} photos of different products have become one point, or "
                "are copies of each other: see lookalike data stats."
            ),
        )
