"""Meta-analytic-predictive prior of one control arm."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field

from sim.core.errors import InputError
from sim.core.loading import digest as digest_of
from sim.core.loading import dump, to_yaml
from sim.evidence import load_evidence
from sim.mixtures import BetaMixture, NormalMixture, fit
from sim.mixtures.conflict import conflict_of_count, conflict_of_mean
from sim.mixtures.effective_sample_size import elir, moment, morita
from sim.mixtures.exchange import to_tree
from sim.synthesis.base import Synthesis, Tell
from sim.synthesis.control_arms import ControlArms, read_control_arms
from sim.synthesis.hierarchy import HeterogeneityPrior, MeanPrior
from sim.synthesis.predictive import Predictive, predict
from sim.synthesis.priors import NormalPrior, Positive
from sim.synthesis.question import Admission
from sim.synthesis.tables import sources_table

MODEL_VERSION = 2
"""Part of the digest: raise it when the model, not the configuration, changes the numbers."""
SAVED_DRAWS = 4000
FITTED_DRAWS = 10_000
AIC_PENALTY = 6.0
"""Cost of a mixture's parameter; a component must earn its place (2 is Akaike's, 6 that of RBesT)."""


class Map(Synthesis):
    """What earlier studies say about the control arm of a new one.

    The mean (logit of the responder share, or mean outcome) of each study is normal around a population
    mean; the prior is the predictive distribution of a new study's (Neuenschwander et al. 2010,
    doi:10.1177/1740774509356002), robust with a vague component of ``robust_weight`` (Schmidli et al. 2014,
    doi:10.1111/biom.12242). All is integrated, nothing sampled; ``seed`` shuffles the saved draws.
    """

    takes: ClassVar[str] = "integrating (a few seconds)"

    kind: Literal["map"] = "map"
    seed: int = Field(0, ge=0)
    data: str = Field(description="CSV with study, n, r or study, n, mean, se; beside the YAML file")
    mean: NormalPrior | None = Field(None, description="prior of the population mean (logit for responders)")
    heterogeneity: HeterogeneityPrior
    sigma: Positive | None = Field(None, description="SD of one patient; else from the standard errors")
    indirect: tuple[Admission, ...] = ()
    robust_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    components: tuple[Annotated[int, Field(ge=1, le=6)], ...] = Field((1, 2, 3, 4), min_length=1)

    def beside(self, folder: Path) -> Self:
        """Take ``data`` from the folder of the configuration file, if it is there."""
        file = folder / self.data
        return self.model_copy(update={"data": str(file)}) if file.exists() else self

    def arms(self) -> ControlArms:
        """Read the table and check that it and the priors fit.

        Raises
        ------
        InputError
            The table is wrong, or responders have no prior of the mean.
        """
        arms = read_control_arms(Path(self.data))
        if arms.outcome == "binomial" and self.mean is None:
            raise InputError(f"{self.name}: mean: responders need a prior of the mean, on the logit scale")
        lost = [a.study for a in self.indirect if a.study not in arms.studies]
        if lost:
            raise InputError(f"{self.name}: indirect: no study {', '.join(lost)} in {self.data}")
        return arms

    def digest(self) -> str:
        """Digest of the configuration, the rows of the table and the model's version."""
        settings = {key: value for key, value in dump(self).items() if key != "data"}
        return digest_of(settings, self.arms().rows(), MODEL_VERSION)

    def write(self, folder: Path, progress: bool = False) -> None:
        """Write map.json (every result), mixture.json (for RBesT), draws.npz and the configuration."""
        arms = self.arms()
        prior = MeanPrior() if self.mean is None else MeanPrior(self.mean.mean, self.mean.sd)
        predicted = predict(arms, prior, self.heterogeneity)
        report = self._report(arms, predicted)
        _write(folder / "map.json", report)
        _write(folder / "mixture.json", report.get("robust", report)["mixture"])
        shuffled = np.random.default_rng(self.seed).permutation(predicted.even_draws(SAVED_DRAWS))
        quantity = "new_share" if arms.outcome == "binomial" else "new_mean"
        arrays: dict[str, Any] = {"digest": np.array(self.digest()), quantity: shuffled}
        np.savez(folder / "draws.npz", **arrays)
        _sources(arms).to_csv(folder / "sources.csv", index=False)
        (folder / "config.yaml").write_text(to_yaml({"schema": 1, **dump(self)}), encoding="utf-8")

    def _report(self, arms: ControlArms, predicted: Predictive) -> dict[str, Any]:
        mixture = self.mixture(arms, predicted)
        report = {
            "outcome": arms.outcome,
            "studies": len(arms.studies),
            "basis": {
                study: "indirect" if study in {a.study for a in self.indirect} else "direct"
                for study in arms.studies
            },
            "patients": float(arms.n.sum()),
            "map": predicted.value.tree(),
            "tau": predicted.tau.tree(),
            "population_mean": predicted.population_mean.tree(),
            "mixture": to_tree(mixture),
            "ess": _worth(mixture),
        }
        if self.robust_weight:
            centre = 0.5 if arms.outcome == "binomial" else float(mixture.mean())
            vague = mixture.robust(self.robust_weight, centre)
            report["robust"] = {"mixture": to_tree(vague), "ess": _worth(vague)}
        return report

    def leave_one_out(self, folder: Path, tell: Tell) -> dict[str, Any]:
        """Add ``conflict`` to map.json: the tail probability of each study under the prior of the others.

        Raises
        ------
        InputError
            Fewer than three studies: what is left makes no prior.
        """
        arms = self.arms()
        if len(arms.studies) < 3:
            raise InputError(f"{self.name}: three studies or more are needed to leave one out")
        report = json.loads((folder / "map.json").read_text(encoding="utf-8"))
        found = {}
        for i, study in enumerate(arms.studies):
            found[study] = self._conflict(arms, i)
            tell(i + 1, len(arms.studies))
        _write(folder / "map.json", {**report, "conflict": found})
        return found

    def _conflict(self, arms: ControlArms, place: int) -> float:
        others = arms.without(place)
        prior = MeanPrior() if self.mean is None else MeanPrior(self.mean.mean, self.mean.sd)
        mixture = self.mixture(others, predict(others, prior, self.heterogeneity))
        seen = {name: float(values[place]) for name, values in arms.columns.items()}
        if isinstance(mixture, BetaMixture):
            return conflict_of_count(mixture, int(seen["r"]), int(arms.n[place]))
        return conflict_of_mean(mixture, seen["mean"], seen["se"])

    def mixture(self, arms: ControlArms, predicted: Predictive) -> NormalMixture | BetaMixture:
        """Fit beta or normal components to the predictive distribution."""
        draws = predicted.even_draws(FITTED_DRAWS)
        if arms.outcome == "binomial":
            return fit(BetaMixture, draws, self.components, AIC_PENALTY, bounded=True).mixture
        found = fit(NormalMixture, draws, self.components, AIC_PENALTY).mixture
        return NormalMixture(found.weight, found.m, found.s, self.sigma or arms.unit_sd())


def _sources(arms: ControlArms) -> pd.DataFrame:
    """Citation of each study: from the evidence tables where they hold it, else the study's name."""
    known = sources_table(load_evidence().studies, pd.DataFrame({"study_id": arms.studies}))
    named = pd.DataFrame({"study_id": arms.studies, "citation": arms.studies, "doi": "", "url": ""})
    return pd.concat([known, named]).drop_duplicates("study_id")


def _worth(mixture: NormalMixture | BetaMixture) -> dict[str, float]:
    return {"elir": elir(mixture), "moment": moment(mixture), "morita": morita(mixture)}


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
