"""How similar photos of one product are, and photos of different ones: two histograms."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int64
from markupsafe import Markup
from matplotlib.ticker import PercentFormatter

from trainer.figures import INK, PALETTE, drawing, inline_svg

BINS = 200
"""Over cosines from -1 to 1: each is 0.01 wide."""
MAX_ANCHORS = 5_000
"""Above this number of photos a sample of anchors is compared with all others."""
_BLOCK = 256
# Pairs that a drawn bin should hold on average, so that chance does not draw spikes.
_PAIRS_PER_BIN = 60


@dataclass(frozen=True, eq=False)
class Similarities:
    """Cosines of pairs of photos, counted.

    Attributes:
        positive: pairs of one product, by bin.
        negative: pairs of different products, by bin.
        anchors: photos whose pairs were counted.
        photos: all photos.
        positive_mean, negative_mean: NaN where there is no such pair.
    """

    positive: Int64[np.ndarray, " bins"]
    negative: Int64[np.ndarray, " bins"]
    anchors: int
    photos: int
    positive_mean: float
    negative_mean: float

    @property
    def sampled(self) -> bool:
        """Whether only some photos were anchors; if not, every pair was counted once."""
        return self.anchors < self.photos

    @property
    def known(self) -> bool:
        """Whether there are pairs of both kinds."""
        return bool(self.positive.sum() and self.negative.sum())

    @property
    def overlap(self) -> float:
        """The area that both histograms cover, 0 to 1: what no threshold can tell apart."""
        positive, negative = self._shares()
        return float(np.minimum(positive, negative).sum())

    def threshold(self) -> tuple[float, float, float]:
        """The cosine that tells the two apart best: with the least sum of both errors.

        Youden, Index for rating diagnostic tests, Cancer 3 (1950).

        Returns:
            The cosine, a bin's lower edge; the share of positive pairs below it; the share of
            negative pairs at or above it.
        """
        positive, negative = self._shares()
        missed = np.concatenate([[0.0], np.cumsum(positive)])
        passed = 1 - np.concatenate([[0.0], np.cumsum(negative)])
        # Where several do equally well, the middle of them is farthest from either kind.
        errors = (missed + passed).round(12)
        equal = np.flatnonzero(errors == errors.min())
        best = int(equal[equal.size // 2])
        return best * 2 / BINS - 1, float(missed[best]), float(passed[best])

    def _shares(self) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
        return self.positive / self.positive.sum(), self.negative / self.negative.sum()


def similarities(
    vectors: Float32[np.ndarray, "photos dim"],
    product: Int[np.ndarray, " photos"],
    *,
    max_anchors: int = MAX_ANCHORS,
    seed: int = 0,
) -> Similarities:
    """Count the cosines of pairs, in blocks: the full matrix is never held.

    Args:
        vectors: unit rows.
        product: a number for each product.
        max_anchors: up to so many photos all pairs are counted, each once; of more photos, so many
            are drawn and each is compared with all others.
        seed: of that draw.
    """
    count = len(vectors)
    anchors = np.arange(count)
    if count > max_anchors:
        anchors = np.sort(np.random.default_rng(seed).permutation(count)[:max_anchors])
    positive, negative = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    sums = np.zeros(2)
    for start in range(0, len(anchors), _BLOCK):
        rows = anchors[start : start + _BLOCK]
        cosines = vectors[rows] @ vectors.T
        place = np.clip((cosines + 1) * (BINS / 2), 0, BINS - 1).astype(np.int32)
        others: Bool[np.ndarray, "block photos"] = (
            np.arange(count) > rows[:, None]
            if count == len(anchors)
            else np.arange(count) != rows[:, None]
        )
        same = product[rows][:, None] == product
        for number, (histogram, wanted) in enumerate(
            ((positive, others & same), (negative, others & ~same))
        ):
            histogram += np.bincount(place[wanted], minlength=BINS)
            sums[number] += cosines[wanted].sum(dtype=np.float64)
    totals = np.array([positive.sum(), negative.sum()])
    means = np.divide(sums, totals, out=np.full(2, np.nan), where=totals > 0)
    return Similarities(positive, negative, len(anchors), count, float(means[0]), float(means[1]))


def similarity_figure(found: Similarities) -> Markup:
    """Draw both histograms, each as shares of its own pairs, and the threshold between them."""
    counted = np.flatnonzero(found.positive + found.negative)
    positive, negative = (_coarser(counts) for counts in (found.positive, found.negative))
    with drawing(8.6, 3.1) as figure:
        axes = figure.subplots()
        for counts, colour, label in (
            (negative, PALETTE[5], "different products"),
            (positive, PALETTE[2], "the same product"),
        ):
            edges = np.linspace(-1, 1, counts.size + 1)
            # A density in hundredths: what a bin of 0.01 would hold, whatever the drawn width.
            height = counts / counts.sum() * counts.size / BINS
            axes.stairs(height, edges, fill=True, color=colour, alpha=0.28)
            axes.stairs(height, edges, color=colour, linewidth=1.8, label=label)
        cosine = found.threshold()[0]
        axes.axvline(cosine, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        top = axes.get_ylim()[1]
        axes.text(cosine, top, f" {cosine:.2f}", va="top", ha="left")
        low, high = (place * 2 / BINS - 1 for place in (counted[0], counted[-1] + 1))
        axes.set_xlim(max(-1.0, low - 0.05), min(1.0, high + 0.02))
        axes.set_xlabel("cosine similarity of two photos")
        axes.set_ylabel("share of pairs, each 0.01")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.16), ncols=2)
        return inline_svg(figure)


def _coarser(counts: Int64[np.ndarray, " bins"]) -> Int64[np.ndarray, " fewer"]:
    """Neighbouring bins together, where there are few pairs."""
    occupied = max(1, np.count_nonzero(counts))
    factor = next((f for f in (1, 2, 4) if counts.sum() * f / occupied >= _PAIRS_PER_BIN), 5)
    return counts.reshape(-1, factor).sum(axis=1)
