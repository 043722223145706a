"""Small trials whose looks change something, and what came of them."""

from typing import Any

import numpy as np

from sim import Study
from sim.claims import Draws
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.trial import TrialRecord, simulate

SEED = 11
BAYES = {
    "kind": "interim_rules",
    "stop_if": {"kind": "posterior_probability", "benefits": [{"beyond": 0, "probability": 0.99}]},
    "final": {"kind": "posterior_probability", "benefits": [{"beyond": 0, "probability": 0.975}]},
}
SEQUENTIAL = {"kind": "group_sequential", "spending": {"kind": "ld_obrien_fleming"}}
COMBINATION = {"kind": "combination", "spending": {"kind": "ld_obrien_fleming"}}
ANCOVA = {"kind": "ancova", "estimand": "primary"}


def protocol(study: Study, look: dict[str, Any], **changes: Any) -> Protocol:
    """The small protocol with one look, 200 patients, and other changes."""
    tree = dump(study.protocols["small"]) | {"n": 200, "sizes": []} | changes
    return validate({**tree, "looks": [{"analysis": ANCOVA, **look}]}, Protocol, "t")


def four_arms(study: Study, treatments: str, look: dict[str, Any], **changes: Any) -> Protocol:
    """Three arms against a control, each a drug (d) or placebo (p)."""
    kinds = {"d": "drug", "p": "placebo"}
    arms = [{"name": "control", "treatment": "placebo"}]
    arms += [{"name": f"arm_{k}", "treatment": kinds[t]} for k, t in enumerate(treatments, start=1)]
    primary = dump(study.protocols["small"])["estimands"]["primary"]
    primary["contrast"] = {"of": [arm["name"] for arm in arms[1:]], "to": "control"}
    return protocol(study, look, arms=arms, estimands={"primary": primary}, **changes)


def nature(study: Study, name: str = "expected", a_week: float = 2.0) -> Scenario:
    """The study's own, but nobody stops or leaves, and so many patients come a week."""
    chosen = study.scenarios[name]
    stays = {
        key: t.model_copy(update={"discontinuation": type(t.discontinuation)(), "withdrawal": None})
        for key, t in chosen.treatments.items()
    }
    rate = chosen.recruitment.model_copy(update={"assume": a_week})
    return chosen.model_copy(update={"treatments": stays, "recruitment": rate})


def run(chosen: Protocol, scenario: Scenario, blocks: int) -> list[TrialRecord]:
    """Simulate some blocks."""
    return [simulate(chosen, scenario, Draws(Streams(SEED, block), {})) for block in range(blocks)]


def together(records: list[TrialRecord], name: str) -> np.ndarray:
    """A field of the records at their only size, (replicate,)."""
    return np.concatenate([getattr(record, name)[0] for record in records])


def success(records: list[TrialRecord]) -> np.ndarray:
    """Success of each compared arm at the only size, (arm, replicate)."""
    return np.concatenate([record.findings[0].verdict.success[:, 0] for record in records], axis=1)
