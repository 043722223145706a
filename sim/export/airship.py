"""The grid of results as the table that Airship plots: inputs first, then a column for each outcome.

Airship (Meyer et al., SoftwareX 2023; https://github.com/el-meyer/airship) reads any CSV in tidy form, in
which every row is one combination of simulation inputs; it asks for the last input column.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

INPUTS = ("protocol", "scenario", "n", "estimand", "arm")
"""The last of them is what Airship asks for."""
EVERY = "all"
"""Stands where an input does not apply, since R reads an empty cell of a text as a value."""


def grid(characteristics: "pd.DataFrame") -> "pd.DataFrame":
    """Lay the tidy table out with a row a combination of inputs and two columns a metric.

    Parameters
    ----------
    characteristics
        ``operating_characteristics.csv``: a row a metric.

    Returns
    -------
    DataFrame
        ``INPUTS``, then each metric and its Monte Carlo standard error (``power``, ``power_mcse``).
    """
    keyed = characteristics.assign(
        **{name: characteristics[name].fillna(EVERY) for name in ("estimand", "arm")}
    )
    order = list(dict.fromkeys(keyed["metric"]))
    wide = keyed.pivot(index=list(INPUTS), columns="metric", values=["value", "mcse"])
    outcomes = {}
    for metric in order:
        outcomes[metric] = wide["value", metric]
        outcomes[f"{metric}_mcse"] = wide["mcse", metric]
    rows = list(dict.fromkeys(keyed[list(INPUTS)].itertuples(index=False, name=None)))
    return type(characteristics)(outcomes).loc[rows].reset_index()
