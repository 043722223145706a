"""Network meta-analysis of mean pain through time, on arm level."""

from pathlib import Path
from typing import Any, Literal

from sim.core.loading import digest as digest_of
from sim.synthesis.base import Tell
from sim.synthesis.question import NetworkQuestion

MODEL_VERSION = 5
"""Part of the digest: raise it when the model, not the configuration, changes the numbers."""


class LongitudinalNma(NetworkQuestion):
    """Random-effects network meta-analysis on arm level through time (formulas: docs/synthesis.md).

    Shrinkage over studies and classes follows Dias et al. 2018 (Network Meta-Analysis for Decision-Making,
    Wiley); the time course follows Pedder et al. 2019, doi:10.1002/jrsm.1351.
    """

    kind: Literal["longitudinal_nma"] = "longitudinal_nma"

    def digest(self) -> str:
        """Digest of the configuration, the rows used and the model's version."""
        frames = (self.harmonised.entries, self.harmonised.checks, self.harmonised.counts)
        return digest_of(self, [frame.astype(str).to_dict("records") for frame in frames], MODEL_VERSION)

    def write(self, folder: Path, progress: bool = False) -> None:
        """Fit and write the result (see ``sim.synthesis.results``)."""
        from sim.synthesis.results import write_results  # PyMC is loaded only where it is used

        write_results(self, folder, progress)

    def leave_one_out(self, folder: Path, tell: Tell) -> dict[str, Any]:
        """Foretell each study's follow-up from the others (see ``sim.synthesis.backtest``)."""
        from sim.synthesis.backtest import run_backtest

        return run_backtest(self, folder, tell)
