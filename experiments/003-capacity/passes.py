"""``python experiments/003-capacity/passes.py``: what drawing how long patients stay only once leaves out.

Stays are drawn as if nobody waited. Here they are drawn again with the waits that followed, and the waits
with these, pass after pass, for 128 trials with every claim at its mean.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sim import Plan, Study
from sim.cli.run import find_posteriors
from sim.conduct import after_waiting, intake_of, operate, stays_of
from sim.execution import draws_of
from sim.lives import World, create, experience
from sim.operations.base import Conduct, Intake, Stays

STUDY = Path(__file__).with_name("study.yaml")
PASSES = 4


def show(study: Study, name: str, hazard: str) -> None:
    """Print the wait, who never began, and pain under therapy at the primary visit, after each pass."""
    protocol, scenario = study.protocols[name], study.scenarios[next(iter(study.scenarios))]
    draws = draws_of(study.seed, 0, Plan(posteriors=find_posteriors(study, quiet=True)).files)
    streams = draws.streams
    world = create(protocol, scenario, scenario.realise(protocol, draws), protocol.n, streams)
    arm = protocol.allocation.assign(protocol.n, protocol.ratio, streams)
    conduct = operate(protocol, scenario, world, arm, streams)
    intake = intake_of(protocol, scenario, world, arm, streams)
    visit = int(np.flatnonzero(protocol.weeks == protocol.primary_week)[0])
    for number in range(1, PASSES + 1):
        treated = arm == 1
        waiting = after_waiting(world, conduct)
        pain = experience(protocol, waiting, arm, streams).score[:, :, visit]
        print(f"{name:7} {hazard:20} pass {number}: {_numbers(conduct, pain, treated, waiting)}", flush=True)
        intake = replace(intake, stays=_again(intake, conduct, stays_of(protocol, waiting, arm, streams)))
        conduct = protocol.operations.conduct(intake, streams)


def _again(intake: Intake, conduct: Conduct, found: Stays) -> Stays:
    """Take the new stays of those who began; nothing new is known of the others."""
    assert intake.stays is not None
    assert conduct.start is not None
    begun = np.isfinite(conduct.start)
    return Stays(
        *(np.where(begun, getattr(found, n), getattr(intake.stays, n)) for n in ("treated", "leave"))
    )


def _numbers(conduct: Conduct, pain: np.ndarray, treated: np.ndarray, world: World) -> str:
    assert conduct.waited is not None
    waited, never = conduct.waited[treated], np.isinf(conduct.waited[treated])
    score = pain[treated].mean()
    return f"waited {waited[~never].mean():.4f} weeks, never began {never.mean():.4f}, pain {score:.4f}"


if __name__ == "__main__":
    np.seterr(invalid="ignore")  # who never begins has no weeks of treatment
    by_pain = (
        "scenarios.as_reported.treatments.pain_reprocessing.discontinuation.inefficacy={"
        "at_five: {assume: 0.05, because: example}, ratio_per_point: {assume: 1.3, because: example}, "
        "from_week: {assume: 0, because: example}}"
    )
    for protocol in ("two", "three", "four"):
        show(Study.load(STUDY), protocol, "as reported")
        show(Study.load(STUDY, (by_pain,)), protocol, "5 % a week, by pain")
