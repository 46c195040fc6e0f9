"""Write paper_values.json: R@k as the papers on SOP define it, by counting alone.

    python tests/trainer/evaluation/make_paper_values.py

The multi-similarity authors' program is not free, so nothing of it is used: "the average recall
scores over all the query images in the testing set", where a query's recall at k is 1 if one of the
k nearest other images is of its class (Oh Song et al., CVPR 2016, section 5; Wang et al., CVPR
2019, follow it). The vectors are those of convention_values.json. Similarities are compared as
fractions, exactly; where others are as similar as the nearest image of the class, they stand behind
it in the optimistic figure, and before it in the pessimistic one.
"""

import json
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).parent
DEPTHS = (1, 10)


def similarity(one: list[float], other: list[float]) -> Fraction:
    return sum((Fraction(a) * Fraction(b) for a, b in zip(one, other, strict=True)), Fraction())


def recalls(vectors: list[list[float]], labels: list[int], k: int) -> list[float]:
    """Pessimistic and optimistic."""
    hits = [0, 0]
    for query, vector in enumerate(vectors):
        others = [row for row in range(len(vectors)) if row != query]
        found = {row: similarity(vector, vectors[row]) for row in others}
        same = [found[row] for row in others if labels[row] == labels[query]]
        foreign = [found[row] for row in others if labels[row] != labels[query]]
        if not same:
            continue
        hits[0] += sum(score >= max(same) for score in foreign) < k
        hits[1] += sum(score > max(same) for score in foreign) < k
    return [hit / len(vectors) for hit in hits]


def main() -> None:
    stored = json.loads((HERE / "convention_values.json").read_text("utf-8"))
    values = {
        case["name"]: {
            f"recall_at_{k}": recalls(case["vectors"], case["labels"], k) for k in DEPTHS
        }
        for case in stored["cases"]
    }
    (HERE / "paper_values.json").write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
