"""How many directions the embeddings use, and the two that hold most."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The principal directions of a set of vectors, about their mean.

    Attributes:
        variances: along each direction, descending, ≥ 0.
        plane: the coordinates of each vector on the first two directions; 0 where there is none.
    """

    variances: Float64[np.ndarray, " dim"]
    plane: Float64[np.ndarray, "rows 2"]

    @property
    def effective_rank(self) -> float:
        """How many directions are used, each counted by its share: exp(−Σ p log p).

        p = σ / Σσ, σ the singular values of the centred vectors. Roy and Vetterli, The effective
        rank: a measure of effective dimensionality, EUSIPCO 2007, equations 2 to 4. From 1, one
        direction alone, to the dimension; 0 where all vectors are equal.
        """
        singular = np.sqrt(self.variances)
        if not singular.any():
            return 0.0
        shares = singular[singular > 0] / singular.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @property
    def shares(self) -> Float[np.ndarray, " dim"]:
        """The share of the variance along each direction; all 0 where there is none."""
        total = self.variances.sum()
        return self.variances / total if total > 0 else self.variances


def spectrum(vectors: Float32[np.ndarray, "rows dim"]) -> Spectrum:
    """Decompose the vectors' covariance; rows of one place give variances of exactly 0.

    Args:
        vectors: at least one row.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    values, directions = np.linalg.eigh(centred.T @ centred / len(vectors))
    values, directions = values[::-1], directions[:, ::-1]
    # Rounding leaves some 1e-16 of the largest, and of float32 inputs 1e-14 of their squares.
    values = np.where(values > max(values[0] * 1e-10, 1e-13), values, 0.0)
    plane = np.zeros((len(vectors), 2))
    plane[:, : min(2, directions.shape[1])] = centred @ directions[:, :2]
    return Spectrum(values, plane)
