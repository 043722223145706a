"""One study held out of a network: what is left to learn from, and what is to be foretold."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from sim.mixtures import NormalMixture
from sim.synthesis.network import Floats, Ints, Network

PREDICTED = ["study", "treatment", "comparator", "week", "form", "reported"]


@dataclass(frozen=True, eq=False)
class Fold:
    """The follow-up of one study is held out; its baseline stays, so the question is: given who was enrolled,
    what happens to them?

    Parameters
    ----------
    entries
        The rows of ``network``, in its order (see ``harmonise.ENTRY``).
    """

    network: Network
    entries: pd.DataFrame
    study: str

    @cached_property
    def held(self) -> Ints:
        """Places of the rows held out."""
        mine = (self.entries["study_id"] == self.study) & (self.entries["weeks"] > 0)
        return np.flatnonzero(mine)

    @cached_property
    def kept(self) -> Ints:
        """Places of the rows that stay."""
        return np.setdiff1d(np.arange(len(self.entries)), self.held)

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of all rows' sampling errors, from the network's whitening."""
        root = np.linalg.inv(self.network.whiten)
        return np.asarray(root @ root.T)

    def rest(self) -> Network:
        """The same network with the held-out rows silenced, and the SDs and responders reported beside them:
        those left have their marginal covariance.

        The held-out rows' columns and rows of ``whiten`` are zero, so each adds a constant to the likelihood;
        shapes stay, and a compiled model takes it as new data.
        """
        whiten = np.zeros_like(self.covariance)
        whiten[np.ix_(self.kept, self.kept)] = np.linalg.inv(
            np.linalg.cholesky(self.covariance[np.ix_(self.kept, self.kept)])
        )
        return replace(self.network.without_spread(self.study), whiten=whiten)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """What is foretold (columns ``PREDICTED``): each held-out row, then differences between arms."""
        mine = self.entries.iloc[self.held].rename(
            columns={"study_id": "study", "weeks": "week", "value": "reported"}
        )
        pairs = self.pairs
        first, second = (mine.iloc[[pair[i] for pair in pairs]].reset_index(drop=True) for i in (0, 1))
        apart = first.assign(
            comparator=second["treatment"], form="difference", reported=first["reported"] - second["reported"]
        )
        return pd.concat([mine, apart], ignore_index=True)[PREDICTED]

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Held-out rows of one week and form but of two treatments: each with that of the arm whose treatment
        comes first in the network (the reference, else by name)."""
        mine = self.entries.iloc[self.held].reset_index(drop=True)
        arms = mine[mine["form"].isin(["mean", "change"])]
        found = []
        for _, block in arms.groupby(["form", "weeks"]):
            first = min(block.index, key=lambda i: self.network.treatments.index(mine.at[i, "treatment"]))
            others = block.index[block["treatment"] != mine.at[first, "treatment"]]
            found += [(int(i), int(first)) for i in others]
        return tuple(found)

    def predictive(self, reported: Floats) -> NormalMixture:
        """Foretell ``rows`` from posterior draws of every row's expected value, fitted to ``rest()``.

        With draws R of the expected values, K the rows kept and H those held out,

            y_H | y_K, R ~ N(R_H + V_HK V_KK^-1 (y_K - R_K),  V_HH - V_HK V_KK^-1 V_KH):

        an arm whose baseline came out high by chance will be high later too. Over the draws that is a mixture
        of normals, one mixture a row.

        Parameters
        ----------
        reported
            Shape (draw, row).
        """
        v, held, kept = self.covariance, self.held, self.kept
        gain = v[np.ix_(held, kept)] @ np.linalg.inv(v[np.ix_(kept, kept)])
        mean = reported[:, held] + (self.network.observed[kept] - reported[:, kept]) @ gain.T
        left = v[np.ix_(held, held)] - gain @ v[np.ix_(kept, held)]
        combine = np.vstack([np.eye(len(held)), np.zeros((len(self.pairs), len(held)))])
        for row, (treatment, control) in enumerate(self.pairs, start=len(held)):
            combine[row, treatment], combine[row, control] = 1.0, -1.0
        sd = np.sqrt(np.diag(combine @ left @ combine.T))
        return NormalMixture(np.full((len(mean), 1), 1 / len(mean)), mean @ combine.T, sd)
