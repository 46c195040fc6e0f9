"""What the scores of the run's release mean."""

from collections.abc import Mapping
from typing import Any

from trainer.page import Illustration, Section, Text, data_uri


def calibration_section(
    calibration: Mapping[str, Any] | None, picture: bytes | None
) -> Section | None:
    """How far probabilities are off, and what the threshold costs; None where none was measured.

    Args:
        calibration: the manifest's, and the release's id as "release".
        picture: the PNG that lies in the release.
    """
    if calibration is None or picture is None:
        return None
    error, false_match, missed = (
        f"{calibration[name]:.1%} (95 %: {100 * low:.1f}–{high:.1%})"
        for name in ("expected_calibration_error", "false_match_rate", "false_non_match_rate")
        for low, high in [calibration["confidence_95"][name]]
    )
    whose = "customers'" if calibration["task"] == "query_to_catalog" else "the catalogue's own"
    return Section(
        "Calibration",
        (
            Illustration(
                data_uri(picture, "image/png"),
                "Left: the share of results that are right, for what their matchProbability "
                "promises; hollow points stand for few results. Right: the best score of each "
                "photo; from the dashed line on it counts as a confident match.",
                "A reliability diagram beside two histograms of scores.",
            ),
            Text(
                f"Release {calibration['release']}, {calibration['queries']:,} of {whose} photos "
                f"of {calibration['products']:,} unseen products, each asked with its product in "
                "the catalogue and without; the probabilities are for as many photos of the one "
                "kind as of the other. On products that were not fitted, a first result's "
                f"probability is off by {error} on average. {false_match} of the photos whose "
                "product is not in the catalogue are a false match all the same, and "
                f"{missed} of those whose product is there get noConfidentMatch."
            ),
        ),
    )
