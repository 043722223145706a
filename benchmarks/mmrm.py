"""``python -m benchmarks.mmrm``: mixed models and imputations a second on blocks of the two-arm trial."""

import statistics
import time
from pathlib import Path

from benchmarks.measures import Measure, show
from sim import Study
from sim.analyses.base import Analysis
from sim.analyses.conditional_mean import ConditionalMean
from sim.analyses.mmrm import Mmrm
from sim.claims import Draws
from sim.core.streams import BLOCK_SIZE, Streams
from sim.estimand import Observations
from sim.trial import simulate

STUDY = Path(__file__).parent / "two_arm_assumed.yaml"
ROUNDS = 7


def observed_block(study: Study, block: int) -> Observations:
    """Data of one block as an analysis of the primary estimand takes them."""
    protocol, scenario = study.protocols["two_arm"], study.scenarios["expected"]
    data = simulate(protocol, scenario, Draws(Streams(study.seed, block), {})).data
    estimand = protocol.estimands["primary"]
    endpoint = protocol.endpoints[estimand.endpoint]
    value = estimand.variable(data, endpoint)
    return Observations(value, data.baseline, data.arm, (1,), 0, 2, data, estimand, endpoint)


def fits_a_second(analysis: Analysis, blocks: list[Observations]) -> float:
    """Median over blocks, in processor time."""
    times = []
    for observed in blocks:
        begin = time.process_time()
        analysis.estimate(observed)
        times.append(time.process_time() - begin)
    return blocks[0].arm.shape[1] / statistics.median(times)


def one_replicate(observed: Observations) -> Observations:
    """The first replicate by itself."""
    data = observed.data.one(0)
    return Observations(
        observed.value[:, :1], data.baseline, data.arm, observed.of, observed.to, observed.arms, data,
        observed.estimand, observed.endpoint,
    )  # fmt: skip


def mixed_models() -> list[Measure]:
    """Measure fits a second by degrees of freedom and covariance."""
    study = Study.load(STUDY)
    blocks = [observed_block(study, block) for block in range(ROUNDS)]
    n, _, visits = blocks[0].data.score.shape
    lost = float((blocks[0].value != blocks[0].value).mean())
    of = f"MMRM, {n} patients x {visits} visits, {lost:.0%} without the last, {BLOCK_SIZE} replicates a block"
    found = []
    for options in (
        {"df": "satterthwaite"},
        {"df": "kenward_roger_linear"},
        {"df": "kenward_roger"},
        {"df": "normal"},
        {"covariance": "heterogeneous_toeplitz"},
        {"covariance": "ar1"},
    ):
        analysis = Mmrm.model_validate({"estimand": "primary", **options})
        name = f"{analysis.covariance}, {analysis.df}"
        found.append(Measure(of, f"{name}, fits per second", fits_a_second(analysis, blocks), "1,000"))
    alone = [one_replicate(observed) for observed in blocks]
    for groups in (None, 20):
        imputation = ConditionalMean(estimand="primary", strategy="jump_to_reference", groups=groups)
        name = f"jump to reference, jackknife of {groups or n}, per second"
        found.append(Measure(of, name, fits_a_second(imputation, alone)))
    return found


if __name__ == "__main__":
    show(mixed_models())
