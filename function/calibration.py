"""From a result's score to the probability that it is the right product, and to a safe silence."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

CalibrationMethod = Literal["platt", "isotonic"]
CalibrationTask = Literal["query_to_catalog", "leave_one_out"]


@dataclass(frozen=True)
class Curve:
    """Score to probability: linear between its points, level outside them.

    Attributes:
        scores: cosine similarities, rising.
        probabilities: one for each, never falling, 0 to 1.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def at(self, score: float) -> float:
        """Return the probability at a score."""
        return float(np.interp(score, self.scores, self.probabilities))


@dataclass(frozen=True)
class Calibration:
    """What scores were measured to mean, with photos of products that the network never saw.

    Each photo asked twice: once while its product was in the catalogue, once while it was not. So
    the probabilities are those of customers half of whose photos show a product of the shop. Those
    after the first result have a curve of their own: at the same score they are less often right.

    All figures are measured on other products than those that were fitted; see
    `trainer.release.calibration`.

    Attributes:
        task: "query_to_catalog": customers' photos asked; "leave_one_out": where there were none,
            the catalogue's own did, each without itself. These say little about customers' photos,
            whose scores are lower.
        method: how both curves were fitted.
        first: of the first result.
        later: of each result after it.
        queries: photos that asked.
        products: their products.
        expected_calibration_error: of first results, 0 to 1: how far the probability is from the
            share of right ones, on average.
        expected_calibration_error_later: of later results.
        score_threshold: the least score of a first result that makes a confident match.
        target_false_match_rate: what the threshold was chosen for.
        false_match_rate: share of photos whose product is not in the catalogue and whose first
            result reaches the threshold all the same.
        false_non_match_rate: share of photos whose product is in the catalogue and whose first
            result stays below it.
        confidence_95: intervals of these figures by name, low and high.
    """

    task: CalibrationTask
    method: CalibrationMethod
    first: Curve
    later: Curve
    queries: int
    products: int
    expected_calibration_error: float
    expected_calibration_error_later: float
    score_threshold: float
    target_false_match_rate: float
    false_match_rate: float
    false_non_match_rate: float
    confidence_95: dict[str, tuple[float, ...]]

    def match_probability(self, score: float, place: int) -> float:
        """Return the probability that a result shows the photo's product.

        Args:
            score: cosine similarity.
            place: of the result in its ranking, 0 for the first.
        """
        return (self.later if place else self.first).at(score)

    def is_confident(self, best: float | None) -> bool:
        """Say whether there is a confident match.

        Args:
            best: the first result's score; None where nothing was found.
        """
        return best is not None and best >= self.score_threshold
