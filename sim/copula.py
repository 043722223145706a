"""How baseline measures hang together in a clinic: a Gaussian copula, and its uncertainty."""

from collections.abc import Collection, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.core.parts import Part, wrong
from sim.core.streams import BLOCK_SIZE, Streams

Floats = NDArray[np.float64]
Correlation = Annotated[float, Field(ge=-1, le=1)]

LEAST_EIGENVALUE = 1e-4
MOST_PROJECTIONS = 500


def nearest_correlations(matrices: Floats) -> Floats:
    """Nearest correlation matrices in the Frobenius norm, (…, k, k), positive definite.

    Alternating projections with Dykstra's correction (Higham 2002, doi:10.1093/imanum/22.3.329) on
    matrices whose smallest eigenvalue is at least 10⁻⁴; the last step rescales the diagonal to 1.
    """
    present, correction = matrices.copy(), np.zeros_like(matrices)
    diagonal = np.arange(matrices.shape[-1])
    for _ in range(MOST_PROJECTIONS):
        corrected = present - correction
        values, vectors = np.linalg.eigh(corrected)
        lifted = np.maximum(values, LEAST_EIGENVALUE)
        projected = (vectors * lifted[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        correction = projected - corrected
        before, present = present, projected.copy()
        present[..., diagonal, diagonal] = 1.0
        if np.abs(present - before).max() < 1e-9:
            break
    size = np.sqrt(projected[..., diagonal, diagonal])
    return np.asarray(projected / (size[..., :, None] * size[..., None, :]))


class Copula(Part):
    """Gaussian copula between pain and the covariates in a clinic without entry rule.

    With an ``uncertainty`` u each correlation is redrawn for every trial within ±u (uniform), and the
    nearest correlation matrix is taken. It is 0 unless a study asks for it: the correlations are then
    the same in all trials, as every claim of a power calculation is.
    """

    names: tuple[str, ...]
    matrix: tuple[tuple[Correlation, ...], ...]
    uncertainty: float = Field(0.0, ge=0, le=1, description="each correlation is redrawn within ± this")
    source: str | None = None
    because: str | None = None

    @model_validator(mode="after")
    def _is_a_correlation_matrix(self) -> Self:
        values = np.array([list(row) for row in self.matrix]) if self._is_square() else None
        if values is None:
            raise wrong(f"the matrix must be {len(self.names)} × {len(self.names)}, a row for each of names")
        if not np.allclose(values, values.T) or not np.allclose(np.diag(values), 1):
            raise wrong("the matrix must be symmetric with ones on its diagonal")
        if np.linalg.eigvalsh(values).min() <= 0:
            raise wrong("the matrix is not positive definite: no set of variables has these correlations")
        if "pain" not in self.names:
            raise wrong("'pain' must be among the names")
        if not (self.source or self.because):
            raise wrong("a matrix needs 'source' or 'because'")
        return self

    def _is_square(self) -> bool:
        return len(self.matrix) == len(self.names) and all(len(row) == len(self.names) for row in self.matrix)

    @property
    def values(self) -> Floats:
        """The matrix as an array, (name, name)."""
        return np.array(self.matrix)

    def with_pain(self, name: str) -> float:
        """Correlation of a name's score with that of true pain; 0 outside the copula."""
        inside = name in self.names
        return self.matrix[self.names.index("pain")][self.names.index(name)] if inside else 0.0

    def ordered(self, first: Collection[str]) -> list[str]:
        """The names with pain first, then those in ``first``, then the others."""
        return sorted(self.names, key=lambda name: 0 if name == "pain" else 1 if name in first else 2)

    def factors(self, order: Sequence[str], streams: Streams) -> Floats:
        """Cholesky factors in an order of the names, (1 or replicate, name, name)."""
        places = [self.names.index(name) for name in order]
        matrices = self._matrices(streams)[:, places][:, :, places]
        return np.asarray(np.linalg.cholesky(matrices), dtype=np.float64)

    def _matrices(self, streams: Streams) -> Floats:
        if not self.uncertainty:
            return self.values[None]
        rows, columns = np.tril_indices(len(self.names), -1)
        moved = streams("correlations").uniform(-1, 1, (BLOCK_SIZE, len(rows))) * self.uncertainty
        matrices = np.tile(self.values, (BLOCK_SIZE, 1, 1))
        matrices[:, rows, columns] = np.clip(matrices[:, rows, columns] + moved, -1, 1)
        matrices[:, columns, rows] = matrices[:, rows, columns]
        wild = np.linalg.eigvalsh(matrices)[:, 0] < LEAST_EIGENVALUE
        if wild.any():
            matrices[wild] = nearest_correlations(matrices[wild])
        return matrices
