"""``python -m benchmarks.sites``: trials a second with sites, screening and a busy clinic, on one core."""

import os
import statistics
import time
from pathlib import Path

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


def measure(changes: tuple[str, ...]) -> tuple[float, float]:
    """Trials a second of own time, and the share of patients who wait or give up."""
    study = Study.load(STUDY, changes)
    protocol, scenario = study.protocols["two_arm"], study.scenarios["expected"]
    simulate(protocol, scenario, Draws(Streams(1, 0), {}))
    own, waited = [], []
    for block in range(1, ROUNDS + 1):
        begin = time.process_time()
        record = simulate(protocol, scenario, Draws(Streams(1, block), {}))
        own.append(time.process_time() - begin)
        waited.append(float((record.conduct.waited > 0).mean()))
    return BLOCK_SIZE / statistics.median(own), statistics.mean(waited)


def main() -> None:
    print("300 patients at 20 sites, screening, one core; budget 100 trials a second")
    for title, changes in CASES.items():
        rate, waited = measure(changes)
        print(f"  {title}")
        print(f"    trials per second of own time   {rate:8,.0f}")
        print(f"    patients who wait or give up    {waited:8.0%}")
    print(f"  load of the machine, 1 minute     {os.getloadavg()[0]:8.1f}   on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
