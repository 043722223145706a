"""Power prior: a study's likelihood raised to a power, where it answers another question than ours."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.core.errors import InputError
from sim.core.parts import suggest


def discounted(entries: pd.DataFrame, factors: Mapping[str, float]) -> pd.DataFrame:
    """Divide the precision of chosen studies: their ``se`` grows by 1 / sqrt(factor).

    For a normal likelihood that is its power ``factor`` (Ibrahim & Chen 2000, doi:10.1214/ss/1009212673).

    Raises
    ------
    InputError
        A study has no entry.
    """
    studies = set(entries["study_id"])
    lost = [
        f"discount: study '{s}' does not enter:{suggest(s, studies)}" for s in factors if s not in studies
    ]
    if lost:
        raise InputError(*lost)
    factor = entries["study_id"].map(dict(factors)).fillna(1.0).to_numpy(dtype=float)
    told = entries["se_from"].where(factor == 1, entries["se_from"] + ", discounted")
    return entries.assign(se=entries["se"] / np.sqrt(factor), se_from=told)
