"""A slow, plain twin of the batched likelihood: one data set, one patient at a time, a general optimiser."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize


@dataclass(frozen=True)
class Plain:
    """Repeated measures of one trial; every column has an effect at every visit, or ``kept`` says which."""

    design: np.ndarray  # (patient, column)
    value: np.ndarray  # (patient, visit), nan is missing
    kept: np.ndarray | None = None  # positions among (column × visit)

    @property
    def visits(self) -> int:
        return self.value.shape[1]

    @cached_property
    def patients(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Design matrix, values and observed visits of each patient with any value."""
        kept = slice(None) if self.kept is None else self.kept
        every = [(x, y, np.flatnonzero(~np.isnan(y))) for x, y in zip(self.design, self.value, strict=True)]
        return [
            (np.kron(x, np.eye(self.visits)[seen])[:, kept], y[seen], np.ix_(seen, seen))
            for x, y, seen in every
            if len(seen)
        ]

    def pieces(self, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Estimated effects (column × visit), their variance, and −2 restricted log likelihood."""
        weights = [np.linalg.inv(covariance[seen]) for _, _, seen in self.patients]
        a = sum(x.T @ w @ x for (x, _, _), w in zip(self.patients, weights, strict=True))
        b = sum(x.T @ w @ y for (x, y, _), w in zip(self.patients, weights, strict=True))
        beta = np.linalg.solve(a, b)
        deviance = np.linalg.slogdet(a)[1]
        for (x, y, _), w in zip(self.patients, weights, strict=True):
            residual = y - x @ beta
            deviance += residual @ w @ residual - np.linalg.slogdet(w)[1]
        return beta, np.linalg.inv(a), deviance

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        lower = np.zeros((self.visits, self.visits))
        lower[np.tril_indices(self.visits)] = theta
        lower[np.diag_indices(self.visits)] = np.exp(np.diag(lower))
        return lower @ lower.T

    def fit(self) -> np.ndarray:
        """Covariance of the largest restricted likelihood, by BFGS on the log-Cholesky scale."""
        start = np.diag(0.5 * np.log(np.nanvar(self.value, axis=0)))[np.tril_indices(self.visits)]
        found = minimize(
            lambda t: self.pieces(self.covariance(t))[2],
            start,
            method="BFGS",
            jac="3-point",
            options={"gtol": 1e-5},
        )
        return self.covariance(found.x)

    def satterthwaite(self, covariance: np.ndarray, weights: np.ndarray) -> float:
        """Degrees of freedom by numerical derivatives in the elements of the covariance."""
        rows, columns = np.tril_indices(self.visits)
        step = 1e-3 * np.sqrt(np.diag(covariance)[rows] * np.diag(covariance)[columns])

        def at(shift: np.ndarray) -> tuple[float, float]:
            moved = covariance.copy()
            for row, column, by in zip(rows, columns, shift * step, strict=True):
                moved[row, column] += by
                moved[column, row] = moved[row, column]
            _, variance, deviance = self.pieces(moved)
            return weights @ variance @ weights, deviance

        size, unit = len(rows), np.eye(len(rows))
        slope = np.array([(at(e)[0] - at(-e)[0]) / 2 for e in unit])
        hessian = np.empty((size, size))
        for i in range(size):
            for j in range(i + 1):
                a, b = unit[i], unit[j]
                hessian[i, j] = hessian[j, i] = (
                    at(a + b)[1] - at(a - b)[1] - at(b - a)[1] + at(-a - b)[1]
                ) / 4
        variance, _ = at(np.zeros(size))
        return 2 * variance**2 / (slope @ np.linalg.solve(hessian / 2, slope))
