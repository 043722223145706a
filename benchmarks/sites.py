"""``python -m benchmarks.sites``: trials a second with sites, screening and a busy clinic, on one core.

``python -m benchmarks.sites --profile`` says where the time of a block goes; its answer is kept beside the
figures in ``results/``.
"""

import cProfile
import pstats
import statistics
import sys
from pathlib import Path

from benchmarks.measures import Measure, own_seconds, show
from sim import Study
from sim.claims import Draws
from sim.core.streams import BLOCK_SIZE, Streams
from sim.trial import simulate

ROUNDS = 9
STUDY = Path(__file__).with_name("two_arm_assumed.yaml")
CLINIC = "clinics: [{arms: [snri], therapists: 4, sessions_a_week: 9}]"
COURSE = (
    "scenarios.expected.treatments.snri.sessions=9",
    "scenarios.expected.treatments.snri.weeks={assume: 5, because: timing}",
    "scenarios.expected.recruitment={assume: 1, because: timing}",
)
PATIENT = (
    "between_sites: {assume: 1.2, because: timing}, consent: {assume: 0.7, because: timing}, "
    "patience: {assume: 8, because: timing}"
)
BUSY = (
    f"protocols.two_arm.operations={{kind: sites, sites: 20, open_every: 1, {CLINIC}}}",
    *COURSE,
    f"scenarios.expected.conditions={{{PATIENT}}}",
)

SUPPLY = "supply: {arms: [placebo, snri], weeks_a_kit: 4, stock: 6, reorder_at: 3}"
SUPPLIED = (
    f"protocols.two_arm.operations={{kind: sites, sites: 20, open_every: 1, {SUPPLY}}}",
    "scenarios.expected.recruitment={assume: 0.3, because: timing}",
    "scenarios.expected.conditions={between_sites: {assume: 1.2, because: timing}, "
    "delivery: {assume: 2, because: timing}, shelf_life: {assume: 26, because: timing}}",
)

IN_TIME = (
    "growth: {at_opening: {assume: 0.3, because: timing}, weeks: {assume: 10, because: timing}}, "
    "holidays: [{at: 10, weeks: 2, every: 26, recruitment: {assume: 0.5, because: timing}, "
    "treatment: {assume: 0.5, because: timing}}], "
    "competing: [{opens: {assume: 12, because: timing}, takes: {assume: 0.3, because: timing}, "
    "sites: {assume: 0.5, because: timing}}], visit_days: {assume: 2, because: timing}"
)
WINDOW = "visit_window: {days: 3, outside: missing}"
CHANGING = (
    f"protocols.two_arm.operations={{kind: sites, sites: 20, open_every: 1, {WINDOW}, {CLINIC}}}",
    *COURSE,
    f"scenarios.expected.conditions={{{PATIENT}, {IN_TIME}}}",
)
APPOINTED = (
    "appointments: [{name: scanner, before: randomisation, a_week: 20}, "
    "{name: physician, before: treatment, a_week: 12, arms: [snri]}]"
)
EVERYTHING = (
    f"protocols.two_arm.operations="
    f"{{kind: sites, sites: 20, open_every: 1, {WINDOW}, {APPOINTED}, {CLINIC}}}",
    *CHANGING[1:],
)
CASES = {
    "4 therapists for the 150 of one arm, patience of 8 weeks": BUSY,
    "kits of 4 weeks for both arms, orders of 2 weeks": SUPPLIED,
    "therapists, growth, holidays, another trial, visit windows": CHANGING,
    "all that, a scanner before randomisation and a physician before therapy": EVERYTHING,
}


class Case:
    """A study with these changes, block by block."""

    def __init__(self, changes: tuple[str, ...]):
        study = Study.load(STUDY, changes)
        self._asked = study.protocols["two_arm"], study.scenarios["expected"]
        self.waited: list[float] = []

    def step(self, block: int) -> None:
        """Simulate one block."""
        conduct = simulate(*self._asked, Draws(Streams(1, block), {})).conduct
        assert conduct.waited is not None
        self.waited.append(float((conduct.waited > 0).mean()))


def measure(title: str, changes: tuple[str, ...]) -> list[Measure]:
    """Measure trials a second, in processor time, and how many wait or give up."""
    case = Case(changes)
    (taken,) = own_seconds(case.step, rounds=ROUNDS)
    of = f"300 patients at 20 sites, screening, {title}"
    return [
        Measure(of, "trials per second", BLOCK_SIZE / taken, "100"),
        Measure(of, "share of patients who wait or give up", statistics.mean(case.waited)),
    ]


def trials() -> list[Measure]:
    """Measure a busy clinic, a drug that is shipped in kits, and rates that change, on and off."""
    return [found for title, changes in CASES.items() for found in measure(title, changes)]


def profile(rounds: int = 3) -> None:
    """Print where the time of blocks with everything goes."""
    case = Case(EVERYTHING)
    case.step(0)
    with cProfile.Profile() as seen:
        for block in range(1, rounds + 1):
            case.step(block)
    pstats.Stats(seen).strip_dirs().sort_stats("tottime").print_stats(16)


if __name__ == "__main__":
    profile() if "--profile" in sys.argv else show(trials())
