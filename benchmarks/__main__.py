"""``make bench``: the budgets of the design beside what this machine does; kept in ``benchmarks/results``."""

import os

from benchmarks import adaptive, fits, fixed_design, group_sequential, mmrm, sites, workers
from benchmarks.measures import HOME, Measure, keep, show

PARTS = (
    *(fixed_design.speed, fixed_design.stages, fixed_design.power_curve, mmrm.mixed_models),
    *(group_sequential.trials, adaptive.trials, sites.trials, fixed_design.growth, workers.blocks, fits.fits),
)


def main() -> None:
    """Measure one part after the other; what was measured is kept after each."""
    found: list[Measure] = []
    for part in PARTS:
        measures = part()
        show(measures)
        found += measures
        keep(found)
    print(f"load of the machine, 1 minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"kept in {HOME}; memory is measured by python -m benchmarks.memory")


if __name__ == "__main__":
    main()
