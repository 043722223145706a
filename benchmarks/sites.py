"""``python -m benchmarks.sites``: trials a second with sites, screening and a busy clinic, on one core."""

import os
import statistics
import time
from pathlib import Path

from sim import Study
from sim.claims import Draws
from sim.core.streams import BLOCK_SIZE, Streams
from sim.trial import simulate

ROUNDS = 15
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


def main() -> None:
    study = Study.load(STUDY, BUSY)
    protocol, scenario = study.protocols["two_arm"], study.scenarios["expected"]
    simulate(protocol, scenario, Draws(Streams(1, 0), {}))
    own, waited = [], []
    for block in range(1, ROUNDS + 1):
        begin = time.process_time()
        record = simulate(protocol, scenario, Draws(Streams(1, block), {}))
        own.append(time.process_time() - begin)
        waited.append(float((record.conduct.start[record.data.arm == 1] > 0).mean()))
    print("300 patients at 20 sites, screening, 4 therapists for the 150 of one arm, patience of 8 weeks")
    print(f"  patients who wait or give up    {statistics.mean(waited):12.0%}")
    print(f"  trials per second of own time   {BLOCK_SIZE / statistics.median(own):12,.0f}   budget 100")
    print(f"  load of the machine, 1 minute   {os.getloadavg()[0]:12.1f}   on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
