"""One rule for the interim looks, another for the end."""

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from sim.analyses.base import Estimate
from sim.core.parts import wrong
from sim.rules.base import Looks, Mask, Rule, Verdict
from sim.rules.one_sided import OneSided
from sim.rules.predicted_success import PredictedSuccess


class InterimRules(Rule):
    """Stop early where ``stop_if`` is met, or where ``go_on_if`` is not; at the end ``final`` decides.

    With posterior probabilities in each place this is Bayesian monitoring (Berry, Carlin, Lee & Müller 2010,
    Bayesian Adaptive Methods for Clinical Trials, chapters 3 to 5). The type I error is what the simulation
    finds: it is not controlled by construction.
    """

    kind: Literal["interim_rules"] = "interim_rules"
    looks_early: ClassVar[bool] = True
    stop_if: Rule | None = None
    go_on_if: Rule | None = None
    final: Rule

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.stop_if is None and self.go_on_if is None:
            raise wrong("give 'stop_if' (early success), 'go_on_if' (else futility), or both")
        for name in ("stop_if", "go_on_if", "final"):
            if getattr(self, name) is not None and getattr(self, name).looks_early:
                raise wrong(f"{name}: a rule with looks of its own cannot be asked at one look")
        for name in ("stop_if", "go_on_if"):
            self._check_predicts(name, getattr(self, name))
        return self

    def _check_predicts(self, name: str, rule: Rule | None) -> None:
        """Refuse to predict another test than that of the end."""
        if not isinstance(rule, PredictedSuccess):
            return
        if not isinstance(self.final, OneSided) or self.final.alpha != rule.alpha:
            raise wrong(
                f"{name}: predicted_success predicts one_sided at alpha {rule.alpha:g}, and 'final' is "
                f"{self.final.words()}; allowed: final of kind one_sided with the same alpha"
            )

    @property
    def tests_no_effect(self) -> bool:
        """As the rule at the end does."""
        return self.final.tests_no_effect

    def check_looks(self, interim: int) -> None:
        """Refuse thresholds that are not one for each interim look; at the end there is one alone."""
        for rule in (self.stop_if, self.go_on_if):
            if rule is not None:
                rule.check_looks(interim)
        self.final.check_looks(0)

    def success(self, estimate: Estimate, better: str) -> Mask:
        """Decide as at the end."""
        return self.final.success(estimate, better)

    def monitor(self, estimate: Estimate, better: str, looks: Looks) -> Verdict:
        """Ask the interim rules at each look but the last."""
        success = np.array(looks.of(self.final.success(estimate, better)), dtype=bool)
        futile = np.zeros_like(success)
        success[:, :, :-1] = False
        if self.stop_if is not None:
            success[:, :, :-1] = self.stop_if.at_looks(estimate, better, looks)[:, :, :-1]
        if self.go_on_if is not None:
            futile[:, :, :-1] = ~self.go_on_if.at_looks(estimate, better, looks)[:, :, :-1]
            futile &= ~np.isnan(looks.of(estimate.estimate))
        return Verdict.first(success, futile & ~success)

    def words(self) -> str:
        """Say the rule in words."""
        early = [f"early success is {self.stop_if.words()}"] if self.stop_if else []
        early += [f"the trial goes on only with {self.go_on_if.words()}"] if self.go_on_if else []
        return f"{self.final.words()} at the end; {'; '.join(early)}"
