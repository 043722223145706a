"""Meta-regression: what of a study its effects may depend on, and the slope's prior."""

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from sim.core.errors import InputError
from sim.core.parts import Part, wrong
from sim.synthesis.network import Floats, Network
from sim.synthesis.priors import NormalPrior

Name = Literal["baseline_pain", "year", "size", "open_label"]
SLOPES = tuple(f"slope_{name}" for name in get_args(Name))
"""Names of the slopes in a posterior."""
BLIND = ("double", "triple", "patient")
OPEN = ("open", "not blind", "assessor", "outcome assess", "observer")
"""First words of the tables' column for patients who did not, and who did, know their treatment."""


class Covariate(Part):
    """One covariate of the effects of some classes against the reference.

    ``baseline_pain`` in points, ``year`` in decades, ``size`` as 10/sqrt(patients a trial), so that small
    studies have large ones, ``open_label`` 1 where patients knew their treatment and 0 where they did not.
    Each is centred on the mean of the studies that have it; a study without it counts as that mean. One slope
    for all treatments of ``classes`` (Dias et al. 2013, doi:10.1177/0272989X13485157): it cancels between two
    of them.
    """

    name: Name
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    slope: NormalPrior

    @model_validator(mode="after")
    def _centred(self) -> "Covariate":
        if self.slope.mean != 0:
            raise wrong("slope: the prior of a slope has mean 0")
        return self

    def values(self, studies: pd.DataFrame, entries: pd.DataFrame) -> dict[str, float]:
        """Centred value of each study that has one.

        Raises
        ------
        InputError
            Fewer than three studies have one, or all the same.
        """
        table = studies.set_index("study_id").loc[sorted(set(entries["study_id"]))]
        raw = self._raw(table, entries).dropna()
        if len(raw) < 3 or raw.nunique() < 2:
            raise InputError(f"regression: '{self.name}' is known of {len(raw)} studies, or the same in all")
        return {str(study): float(value) for study, value in (raw - raw.mean()).items()}

    def _raw(self, table: pd.DataFrame, entries: pd.DataFrame) -> pd.Series:
        if self.name == "baseline_pain":
            start = entries[(entries["form"] == "mean") & (entries["weeks"] == 0)]
            return start.groupby("study_id")["value"].mean()
        if self.name == "year":
            return table["year"].astype(float) / 10
        if self.name == "size":
            trials = entries.groupby("study_id")["k"].max().reindex(table.index)
            return 10 * (table["n_randomised"].astype(float) / trials) ** -0.5
        told = table["blinding"].fillna("").astype(str)
        return told.str.startswith(OPEN).astype(float).where(told.str.startswith(BLIND + OPEN))


def covariate_values(
    covariates: Iterable[Covariate], studies: pd.DataFrame, entries: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Centred values by covariate and study (see ``Covariate.values``)."""
    return {c.name: c.values(studies, entries) for c in covariates}


def exposed(covariate: Covariate, network: Network) -> Floats:
    """Value of the covariate at each arm whose class has the slope, 0 at the others; (arm,)."""
    of_arm = np.array(network.classes)[network.class_of[network.arm_treatment]]
    value = network.covariates[covariate.name][network.arm_study]
    return np.where(np.isin(of_arm, covariate.classes), value, 0.0)
