"""``python -m benchmarks.sites``: trials a second with sites, screening and a busy clinic, on one core."""

import statistics
from pathlib import Path

from benchmarks.measures import Measure, own_seconds, show
from sim import Study
from sim.claims import Draws
from sim.core.streams import BLOCK_SIZE, Streams
from sim.trial import simulate

ROUNDS = 9
STUDY = Path(__file__).with_name("two_arm_assumed.yaml")
CLINIC = "clinics: [{arms: [snri], therapists: 4, sessions_a_week: 9}]"
BUSY = (
    f"protocols.two_arm.operations={{kind: sites, sites: 20, open_every: 1, {CLINIC}}}",
    "scenarios.expected.treatments.snri.sessions=9",
    "scenarios.expected.treatments.snri.weeks={assume: 5, because: timing}",
    "scenarios.expected.recruitment={assume: 1, because: timing}",
    "scenarios.expected.conditions={between_sites: {assume: 1.2, because: timing}, "
    "consent: {assume: 0.7, because: timing}, patience: {assume: 8, because: timing}}",
)


SUPPLY = "supply: {arms: [placebo, snri], weeks_a_kit: 4, stock: 6, reorder_at: 3}"
SUPPLIED = (
    f"protocols.two_arm.operations={{kind: sites, sites: 20, open_every: 1, {SUPPLY}}}",
    "scenarios.expected.recruitment={assume: 0.3, because: timing}",
    "scenarios.expected.conditions={between_sites: {assume: 1.2, because: timing}, "
    "delivery: {assume: 2, because: timing}, shelf_life: {assume: 26, because: timing}}",
)
CASES = {
    "4 therapists for the 150 of one arm, patience of 8 weeks": BUSY,
    "kits of 4 weeks for both arms, orders of 2 weeks": SUPPLIED,
}


def measure(title: str, changes: tuple[str, ...]) -> list[Measure]:
    """Measure trials a second, in processor time, and how many wait or give up."""
    study = Study.load(STUDY, changes)
    protocol, scenario = study.protocols["two_arm"], study.scenarios["expected"]
    waited = []

    def step(block: int) -> None:
        conduct = simulate(protocol, scenario, Draws(Streams(1, block), {})).conduct
        assert conduct.waited is not None
        waited.append(float((conduct.waited > 0).mean()))

    (taken,) = own_seconds(step, rounds=ROUNDS)
    of = f"300 patients at 20 sites, screening, {title}"
    return [
        Measure(of, "trials per second", BLOCK_SIZE / taken, "100"),
        Measure(of, "share of patients who wait or give up", statistics.mean(waited)),
    ]


def trials() -> list[Measure]:
    """Measure a busy clinic, and a drug that is shipped in kits."""
    return [found for title, changes in CASES.items() for found in measure(title, changes)]


if __name__ == "__main__":
    show(trials())
