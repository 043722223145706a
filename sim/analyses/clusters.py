"""Standard errors of least squares that hold within clusters, many data sets at once."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim.analyses.inverse import invert
from sim.analyses.moments import Measurements
from sim.estimand import Observations

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

ClusterErrors = Literal["cr0", "cr1", "cr2"]
CLUSTERED = get_args(ClusterErrors)


@dataclass(frozen=True)
class Contrasted:
    """Contrasts of one linear model a replicate, arrays (contrast, replicate); ``n`` is (replicate,)."""

    estimate: Floats
    se: Floats
    df: Floats
    n: Floats


def clusters_of(observed: Observations) -> Ints:
    """Number of each patient's therapist; a cluster of one's own for all where no arm has any."""
    therapist = observed.data.therapist
    alone = np.broadcast_to(np.arange(len(observed.arm))[:, None], observed.arm.shape)
    return alone if therapist is None else therapist


def clustered(measured: Measurements, cluster: Ints, weights: Floats, errors: ClusterErrors) -> Contrasted:
    """Fit the value at one visit on the columns, with standard errors robust within clusters.

    A patient with a cluster of his own is one cluster: arms may be clustered in part (partially nested
    designs). CR0 is Liang & Zeger's (1986, doi:10.1093/biomet/73.1.13); CR1 multiplies its variance by
    G/(G − 1) × (n − 1)/(n − k); both have G − 1 degrees of freedom. CR2 and its degrees of freedom are Bell
    & McCaffrey's (2002, Survey Methodology 28: 169-181) for independent errors of one variance.

    Parameters
    ----------
    measured
        With a single visit; patients without the value are left out.
    cluster
        Number of each patient's cluster, (patient, replicate).
    weights
        (contrast, column).
    errors
        Which.
    """
    seen = ~np.isnan(measured.value[:, :, 0])
    y = np.where(seen, measured.value[:, :, 0], 0.0)
    x = np.where(seen[:, :, None], np.stack(measured.columns, axis=-1), 0.0)
    inverse, _ = invert(np.einsum("nra,nrb->rab", x, x))
    coefficients = np.einsum("rab,nrb,nr->ra", inverse, x, y, optimize=True)
    residual = np.where(seen, y - np.einsum("nra,ra->nr", x, coefficients), 0.0)
    n = seen.sum(axis=0).astype(np.float64)
    # each patient's part of a contrast: its estimate is a sum of pull × value
    pull = np.einsum("nra,rab,cb->cnr", x, inverse, weights, optimize=True)
    estimate = weights @ coefficients.T
    if errors == "cr2":
        # clusters differ from replicate to replicate, and each needs a root of its own
        parts = [
            _bell_mccaffrey(
                _Part(x[kept, r], residual[kept, r], pull[:, kept, r], cluster[kept, r]), inverse[r]
            )
            for r, kept in enumerate(seen.T)
        ]
        variance, df = np.stack(parts, axis=-1)
        return Contrasted(estimate, np.sqrt(variance), df, n)
    variance, groups = _sandwich(pull * residual, cluster, seen)
    with np.errstate(divide="ignore", invalid="ignore"):
        if errors == "cr1":
            variance = variance * groups / (groups - 1) * (n - 1) / (n - x.shape[2])
        return Contrasted(estimate, np.sqrt(variance), np.broadcast_to(groups - 1, estimate.shape), n)


def _sandwich(share: Floats, cluster: Ints, seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Sum over clusters of the squared sums of (contrast, patient, replicate), and the number of clusters."""
    replicates = cluster.shape[1]
    highest = int(cluster.max()) + 1
    cell = (cluster * replicates + np.arange(replicates)).ravel()
    size = highest * replicates
    sums = [np.bincount(cell, part.ravel(), minlength=size).reshape(highest, replicates) for part in share]
    present = np.bincount(cell, seen.ravel(), minlength=size).reshape(highest, replicates) > 0
    return (np.stack(sums) ** 2).sum(axis=1), present.sum(axis=0).astype(np.float64)


@dataclass(frozen=True)
class _Part:
    """What one data set's patients hold: (patient, column), (patient,), (contrast, patient), (patient,)."""

    x: Floats
    residual: Floats
    pull: Floats
    cluster: Ints


def _bell_mccaffrey(part: _Part, inverse: Floats) -> Floats:
    """Variance and degrees of freedom of each contrast in one data set, (2, contrast).

    The residuals of cluster g are multiplied by A = (I − H)^(−1/2), H its part of the hat matrix. With
    vectors p = (I − H)[all, g] A pull[g], the degrees of freedom are (Σ pᵀp)² / Σ (pᵀq)² over all pairs.
    """
    if np.isnan(inverse).any() or not len(part.x):
        return np.full((2, len(part.pull)), np.nan)
    hat = part.x @ np.linalg.cholesky(inverse)
    groups = np.unique(part.cluster, return_inverse=True)[1]
    found = np.empty((2, len(part.pull)))
    for contrast, mine in enumerate(_adjust(hat, part.pull, groups)):
        found[0, contrast] = (np.bincount(groups, mine * part.residual) ** 2).sum()
        # pᵀq of two clusters is aᵀ(I − H)b of what they hold, as I − H is idempotent
        through = np.stack([np.bincount(groups, column * mine) for column in hat.T])
        gram = np.diag(np.bincount(groups, mine**2)) - through.T @ through
        found[1, contrast] = np.trace(gram) ** 2 / (gram**2).sum()
    return found


def _adjust(hat: Floats, pull: Floats, groups: Ints) -> Floats:
    """Multiply what each cluster holds by (I − H)^(−1/2), (contrast, patient)."""
    size = np.bincount(groups)
    alone = size[groups] == 1
    adjusted = pull.copy()
    adjusted[:, alone] /= np.sqrt(1 - (hat[alone] ** 2).sum(axis=1))
    for group in np.flatnonzero(size > 1):
        mine = np.flatnonzero(groups == group)
        values, vectors = np.linalg.eigh(np.eye(len(mine)) - hat[mine] @ hat[mine].T)
        # a direction that the model fits exactly has no residual and takes no part
        root = np.where(values > 1e-10, 1 / np.sqrt(np.maximum(values, 1e-10)), 0.0)
        adjusted[:, mine] = pull[:, mine] @ (vectors * root) @ vectors.T
    return adjusted
