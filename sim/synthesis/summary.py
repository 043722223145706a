"""Every table and figure of a network's fit."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.synthesis.checks import check_table
from sim.synthesis.course import Course
from sim.synthesis.direct import Reported, reported_differences
from sim.synthesis.draws import Arrays
from sim.synthesis.ends import treatment_ends, typical_end
from sim.synthesis.figures.checks import draw_checks
from sim.synthesis.figures.courses import draw_courses
from sim.synthesis.figures.forest import draw_forest
from sim.synthesis.figures.funnel import draw_funnel
from sim.synthesis.figures.network import draw_network
from sim.synthesis.figures.priors import draw_priors
from sim.synthesis.figures.ranks import draw_ranks
from sim.synthesis.figures.trials import draw_trials
from sim.synthesis.frequentist import Check
from sim.synthesis.network import Floats, Network
from sim.synthesis.question import NetworkQuestion
from sim.synthesis.tables import INTERVAL, effects_table, rank_table, sources_table
from sim.synthesis.trials import pair_order, trial_table
from sim.synthesis.verdicts import verdict_rows, verdict_table


@dataclass(frozen=True, eq=False)
class Summary:
    """A fit, and what is told of it.

    Parameters
    ----------
    draws
        As ``draws.joint_draws`` gives them.
    posterior
        ArviZ ``InferenceData`` with ``reported``, what each row would read without its sampling error.
    """

    config: NetworkQuestion
    network: Network
    draws: Arrays
    posterior: Any

    @property
    def entries(self) -> pd.DataFrame:
        """The rows that entered."""
        return self.config.harmonised.entries

    @cached_property
    def course(self) -> Course:
        """The course of a typical trial."""
        return Course(self.draws, self.config.harmonised.spread)

    @cached_property
    def usual(self) -> float:
        """Length of a course that the studies usually have, weeks."""
        return typical_end(self.ends)

    @cached_property
    def ends(self) -> dict[str, float]:
        """Week at which treatment ended, by study that entered."""
        return treatment_ends(self.config, self.entries)

    @cached_property
    def reported(self) -> tuple[Reported, ...]:
        """Differences within the studies."""
        return reported_differences(self.network, self.entries)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by the name of its file."""
        harmonised = self.config.harmonised
        ends = treatment_ends(self.config, harmonised.checks)
        verdicts = verdict_rows(self.config.tables, self.config.stage, self.config.reference)
        frequentist = self._frequentist()
        return {
            "effects": effects_table(self.draws, self.entries),
            "entries": self.entries,
            "exclusions": harmonised.exclusions,
            **({"counts": harmonised.counts} if len(harmonised.counts) else {}),
            "check": check_table(self.course, harmonised.checks, ends, self.usual),
            "verdicts": verdict_table(self.draws, verdicts),
            "trials": trial_table(self.reported, self.network, self.course, self._fitted()),
            "frequentist": self._beside_the_fit(frequentist.table()),
            "inconsistency": frequentist.inconsistency(),
            "ranks": rank_table(self.draws),
            "sources": sources_table(self.config.tables.studies, self.entries),
        }

    def _fitted(self) -> Floats:
        values = np.asarray(self.posterior.posterior["reported"], dtype=float)
        return values.reshape(-1, values.shape[-1])

    def _frequentist(self) -> Check:
        studies = tuple(one.contrasts(self.network.observed) for one in self.reported)
        return Check(studies, pair_order(self.course))

    def _beside_the_fit(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the fit's difference in mean rating at the end of a course of the usual length."""
        pairs = zip(table["treatment"], table["comparator"], strict=True)
        made = [self.course.difference(pair, self.usual, self.usual) for pair in pairs]
        low, high = (np.array([np.quantile(one, q) for one in made]) for q in INTERVAL)
        return table.assign(fit=[float(one.mean()) for one in made], fit_low=low, fit_high=high)

    def draw(self, tables: dict[str, pd.DataFrame], folder: Path) -> None:
        """Draw every figure into ``folder``."""
        low, high = np.quantile(self.draws["effect_new"], INTERVAL, axis=0)
        predictive = pd.DataFrame({"treatment": self.draws["treatments"], "low": low, "high": high})
        draw_forest(tables["effects"], predictive, folder / "forest.png")
        draw_network(tables["effects"], self.entries, folder / "network.png")
        draw_trials(tables["trials"], self._pooled(), folder / "trials.png")
        draw_funnel(tables["trials"], folder / "funnel.png")
        draw_ranks(tables["ranks"], folder / "ranks.png")
        draw_checks(tables["check"], folder / "check.png")
        draw_courses(self.course, self.entries, self.ends, folder / "courses.png")
        draw_priors(self.config, self.posterior, folder / "priors.png")

    def _pooled(self) -> pd.DataFrame:
        """Mean difference in ratings against the reference, at the end of a usual course."""
        rows = []
        for treatment in self.course.treatments:
            made = self.course.difference((treatment, self.config.reference), self.usual, self.usual)
            low, high = np.quantile(made, INTERVAL)
            rows.append({"treatment": treatment, "mean": made.mean(), "low": low, "high": high})
        return pd.DataFrame(rows)
