"""Records of trials as flat tables: one row a replicate, size, estimand and compared arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.core.loops import find_rows, tally, tally_weeks
from sim.core.streams import BLOCK_SIZE
from sim.data import ABSENT
from sim.endpoints import PAIN, Endpoint, Scale
from sim.events import REASONS, Events
from sim.findings import Finding
from sim.operations.base import Conduct
from sim.operations.costs import rows_of_last, up_to
from sim.protocol import Protocol
from sim.trial import TrialRecord

Column = NDArray[Any]
Table = dict[str, Column]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BlockTables:
    """A block's record as tables of equally long columns.

    Attributes
    ----------
    estimates
        A row for each replicate × size × estimand × compared arm.
    arms
        A row for each replicate × arm × visit (week 0 is baseline), of the patients who were analysed where a
        trial of the largest size ended.
    trials
        A row for each replicate × size.
    """

    estimates: Table
    arms: Table
    trials: Table


def tabulate(protocol: Protocol, record: TrialRecord, block: int, truth: Mapping[str, Floats]) -> BlockTables:
    """Lay a block's record out as tables; ``truth`` (compared arm, replicate) may be empty."""
    replicate = block * BLOCK_SIZE + np.arange(BLOCK_SIZE)
    return BlockTables(
        estimates=_estimates(protocol, record, replicate, truth),
        arms=_arms(protocol, record, replicate),
        trials=_stack(
            [
                {
                    "replicate": replicate,
                    "n": np.full(BLOCK_SIZE, size),
                    "look": record.ended[i] + 1,
                    "finished": record.finished[i],
                    "randomised": record.randomised[i],
                    "pipeline": record.randomised[i] - record.analysed[i],
                }
                | _conduct(protocol, record, i)
                for i, size in enumerate(record.sizes)
            ]
        ),
    )


def _conduct(protocol: Protocol, record: TrialRecord, size: int) -> Table:
    """What only some operations know of each trial: unfinished, screened, and the wait of each arm."""
    found: Table = {}
    conduct = record.conduct
    if np.isfinite(protocol.operations.latest):
        found["unfinished"] = record.unfinished[size]
    if record.cost is not None:
        found["cost"] = record.cost.total[size]
        for arm, spent in zip(protocol.arms, record.cost.by_arm, strict=True):
            found[f"cost {arm.name}"] = spent[size]
    if conduct.screened is not None:
        found["screened"] = up_to(conduct.screened, _last(record, size)[None])[0]
    if conduct.held_up is not None or conduct.visits is not None:
        found |= _appointed(conduct, _last(record, size))
    if conduct.kits is not None:
        found |= _kits(protocol, record, whole=size == len(record.sizes) - 1)
    if conduct.start is not None and conduct.waited is not None:
        inside = np.arange(len(conduct.start))[:, None] <= _last(record, size)
        begun = inside & np.isfinite(conduct.start)
        for k, arm in enumerate(protocol.arms):
            mine = record.data.arm == k
            found[f"waited {arm.name}"] = np.where(begun & mine, conduct.start, 0.0).sum(axis=0)
            found[f"begun {arm.name}"] = (begun & mine).sum(axis=0)
            found[f"never began {arm.name}"] = (inside & ~begun & mine).sum(axis=0)
            found[f"delayed {arm.name}"] = (begun & mine & (conduct.waited > 0)).sum(axis=0)
    return found


def _last(record: TrialRecord, size: int) -> Column:
    """Row of the last patient randomised in trials of a size, (replicate,)."""
    return np.asarray(rows_of_last(record.data.arm, record.randomised[[size]])[0])


def _appointed(conduct: Conduct, last: Column) -> Table:
    """Wait of the randomised for appointments before it, who gave it up, and visits outside their window."""
    found: Table = {}
    inside, each = np.arange(len(conduct.enrolled))[:, None] <= last, np.maximum(last + 1, 1)
    if conduct.held_up is not None and conduct.lost is not None:
        found["held up"] = np.where(inside, conduct.held_up, 0.0).sum(axis=0) / each
        found["lost before"] = up_to(conduct.lost, last[None])[0]
    if conduct.visits is not None and conduct.visits.outside is not None:
        outside = conduct.visits.outside.mean(axis=2)
        found["visits outside"] = np.where(inside, outside, 0.0).sum(axis=0) / each
    return found


def _kits(protocol: Protocol, record: TrialRecord, whole: bool) -> Table:
    """Kits of the drug, and the weeks that each arm went without; nan unless the trial is ``whole``."""
    kits = record.conduct.kits
    assert kits is not None
    found: Table = {"kits shipped": kits.shipped, "kits taken": kits.used.sum(axis=0)}
    for k, arm in enumerate(protocol.arms):
        found[f"gap {arm.name}"] = np.where(record.data.arm == k, kits.gap, 0.0).sum(axis=0)
    return found if whole else {name: np.full_like(values, np.nan) for name, values in found.items()}


def _stack(rows: list[Table]) -> Table:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _estimates(
    protocol: Protocol, record: TrialRecord, replicate: Column, truth: Mapping[str, Floats]
) -> Table:
    """Lay the findings out: a row for each estimand × compared arm × size × replicate."""
    keys = _keys(tuple((found.estimand, found.arms) for found in record.findings), record.sizes)
    rows = [
        _found(protocol, found, len(record.sizes), truth.get(found.estimand)) for found in record.findings
    ]
    return {"replicate": np.tile(replicate, len(keys["n"]) // BLOCK_SIZE)} | keys | _stack(rows)


@lru_cache(maxsize=64)
def _keys(found: tuple[tuple[str, tuple[str, ...]], ...], sizes: tuple[int, ...]) -> Table:
    """Columns that say what estimates are of (estimand and compared arms): the same in every block."""
    rows = [
        {
            "n": np.tile(np.repeat(sizes, BLOCK_SIZE), len(arms)),
            "estimand": np.full(len(arms) * len(sizes) * BLOCK_SIZE, estimand),
            "arm": np.repeat(arms, len(sizes) * BLOCK_SIZE),
        }
        for estimand, arms in found
    ]
    return _shared(_stack(rows))


def _shared(table: Table) -> Table:
    """Refuse to be written to: blocks have these columns in common."""
    for column in table.values():
        column.flags.writeable = False
    return table


def _found(protocol: Protocol, finding: Finding, sizes: int, truth: Floats | None) -> Table:
    """Lay one finding out: a row for each compared arm × size × replicate."""
    estimate, verdict = finding.estimate, finding.verdict
    better = protocol.better(finding.estimand)
    quantities = {
        "estimate": estimate.estimate,
        "se": estimate.se,
        "df": estimate.df,
        "low": estimate.low,
        "high": estimate.high,
        "analysed": estimate.n,
        "p": estimate.one_sided_p(better),
    }
    found: Table = {name: finding.at_end(values) for name, values in quantities.items()}
    arms, shape = len(finding.arms), (len(finding.arms), sizes, BLOCK_SIZE)
    true = np.full((arms, BLOCK_SIZE), np.nan) if truth is None else truth
    found |= {"success": verdict.success, "look": verdict.look + 1, "futile": verdict.futile}
    found["truth"] = true[:, None]
    return {name: _flat(values, shape) for name, values in found.items()}


def _flat(values: Column, shape: tuple[int, ...]) -> Column:
    return (values if values.shape == shape else np.broadcast_to(values, shape)).ravel()


def _arms(protocol: Protocol, record: TrialRecord, replicate: Column) -> Table:
    """Count by visit and arm: randomised, observed, sums of scores, responders, stopped and left."""
    data, arm_of, groups = record.data, *_grouped(record, len(protocol.arms))
    arms, visits = len(protocol.arms), len(protocol.visits)
    scores = [data.baseline, *(data.score[:, :, visit] for visit in range(visits - 1))]
    counts = ScoreGrid.of(protocol).count(arm_of, scores, groups)
    others = [_other_counts(protocol, record, visit, arm_of) for visit in range(visits)]
    counts |= {name: np.stack([other[name] for other in others]) for name in others[0]}
    counts |= _happened_before(arm_of, record.events, protocol, groups)
    names = tuple(arm.name for arm in protocol.arms)
    table = {"replicate": np.tile(replicate, visits * arms)} | _arm_keys(names, protocol.visits)
    return table | {name: values[:, :arms].ravel() for name, values in counts.items()}


@lru_cache(maxsize=64)
def _arm_keys(names: tuple[str, ...], visits: tuple[float, ...]) -> Table:
    """Columns that say which arm and visit counts are of: the same in every block."""
    arm = np.tile(np.repeat(names, BLOCK_SIZE), len(visits))
    return _shared({"arm": arm, "week": np.repeat(np.array(visits), len(names) * BLOCK_SIZE)})


def _grouped(record: TrialRecord, arms: int) -> tuple[Column, int]:
    """Arm of each patient, (patient, replicate), and number of groups: who is not analysed is one more."""
    arm, analysed = record.data.arm, record.analysed[-1]
    if (analysed == len(arm)).all():
        return arm, arms
    randomised = arm != ABSENT
    return np.where(randomised & (np.cumsum(randomised, axis=0) <= analysed), arm, arms), arms + 1


def _other_counts(protocol: Protocol, record: TrialRecord, visit: int, arm_of: Column) -> dict[str, Column]:
    """Sums by arm of what the pain grid does not hold, each (arm, replicate).

    Endpoints of other instruments (``<name>``: responders; ``<name>_sum``, ``<name>_start``, ``<name>_seen``:
    scores), rescue medication, and patients with each adverse event.
    """
    data, found = record.data, {}

    def by_arm(values: Column) -> Column:
        return np.stack([np.where(arm_of == k, values, 0.0).sum(axis=0) for k in range(len(protocol.arms))])

    for name, endpoint in protocol.endpoints.items():
        if endpoint.instrument == PAIN or endpoint.outcome == "time":
            continue
        scores = data.of(endpoint.instrument)
        score = scores.baseline if visit == 0 else scores.visits[:, :, visit - 1]
        seen = ~np.isnan(score)
        value = np.nan_to_num(endpoint.value(scores.baseline, score))
        if endpoint.outcome == "binary":
            found[name] = by_arm(value).astype(np.int64)
        else:
            found |= {f"{name}_sum": by_arm(value), f"{name}_seen": by_arm(seen)}
            found[f"{name}_start"] = by_arm(np.where(seen, scores.baseline, 0.0))
    if data.rescued is not None:
        taken = data.rescued[:, :, visit - 1] if visit else np.zeros(arm_of.shape)
        found["rescued"] = by_arm(taken).astype(np.int64)
    for name, has in record.adverse_events.items():
        found[f"event_{name}"] = by_arm(has).astype(np.int64)
    return found


@dataclass(frozen=True)
class ScoreGrid:
    """Cross-tabulation of baseline and visit score.

    Scores lie on a grid, so every count of a visit follows from how many patients have each pair of
    baseline and score: one pass over the patients serves all endpoints.

    Attributes
    ----------
    low, step, levels
        Scores are low, low + step, …; position ``levels`` stands for a missing score.
    features
        What a patient with (baseline, score) adds to each count, (baseline × score, count).
    names
        Names of the counts.
    """

    low: float
    step: float
    levels: int
    features: Floats
    names: tuple[str, ...]

    @classmethod
    def of(cls, protocol: Protocol) -> "ScoreGrid":
        """Tabulate a protocol's endpoints over the grid of its pain score."""
        responses = [
            (name, endpoint)
            for name, endpoint in protocol.endpoints.items()
            if endpoint.outcome == "binary" and endpoint.instrument == PAIN
        ]
        return cls._tabulated(protocol.pain.scale, tuple(responses))

    @classmethod
    @lru_cache(maxsize=16)
    def _tabulated(cls, scale: Scale, responses: tuple[tuple[str, Endpoint], ...]) -> "ScoreGrid":
        levels = round((scale.high - scale.low) / scale.step) + 1
        scores = np.append(scale.low + scale.step * np.arange(levels), np.nan)
        baseline, score = (part.ravel() for part in np.meshgrid(scores[:-1], scores, indexing="ij"))
        seen = ~np.isnan(score)
        filled = np.where(seen, score, 0.0)
        columns = {"randomised": np.ones_like(filled), "observed": seen * 1.0}
        columns |= {"score_sum": filled, "score_squares": filled**2, "start_sum": seen * baseline}
        columns |= {name: np.nan_to_num(endpoint.value(baseline, score)) for name, endpoint in responses}
        return cls(scale.low, scale.step, levels, np.stack(list(columns.values()), axis=1), tuple(columns))

    def steps(self, score: Floats) -> Floats:
        """Steps of each score above the lowest, whole numbers, same shape; nan where it is missing."""
        if self.low == 0 and self.step == 1:
            return score
        return np.asarray(np.rint((score - self.low) * (1 / self.step)))

    def count(self, arm: NDArray[np.int64], scores: Sequence[Floats], arms: int) -> Table:
        """Counts by name, each (visit, arm, replicate).

        Parameters
        ----------
        arm
            Of each patient, (patient, replicate).
        scores
            At baseline and at each visit, (patient, replicate).
        """
        row = np.empty(arm.shape, dtype=np.int32)
        find_rows(arm, np.ascontiguousarray(self.steps(scores[0])), self.levels, row)
        table = np.empty((arms * BLOCK_SIZE, self.levels * (self.levels + 1)))
        sums = np.empty((len(scores), len(table), len(self.names)))
        for visit, score in enumerate(scores):
            table.fill(0.0)
            tally(row, np.ascontiguousarray(self.steps(score)), self.levels, table.reshape(-1))
            np.matmul(table, self.features, out=sums[visit])
        real = ("score_sum", "score_squares", "start_sum")
        shape = len(scores), arms, BLOCK_SIZE
        return {
            name: found.astype(np.float64 if name in real else np.int64).reshape(shape)
            for name, found in zip(self.names, sums.transpose(2, 0, 1), strict=True)
        }


def _happened_before(
    arm: NDArray[np.int64], events: Events, protocol: Protocol, arms: int
) -> dict[str, Column]:
    """Patients who left, or stopped for each reason, before each visit, each (visit, arm, replicate)."""
    visits = np.array(protocol.visits, dtype=np.float64)

    def count(weeks: Floats, group: NDArray[np.int64], kinds: int) -> Column:
        counts = np.zeros((len(visits) + 1, kinds * arms, BLOCK_SIZE), dtype=np.int64)
        tally_weeks(np.ascontiguousarray(weeks), group, visits, counts)
        before = counts.cumsum(axis=0)[: len(visits)]
        return np.asarray(before.reshape(len(visits), kinds, arms, BLOCK_SIZE))

    found = {"left": count(events.leave, arm, 1)[:, 0]}
    if events.reason.any():
        stopped = count(events.stop, events.reason * np.int64(arms) + arm, len(REASONS))
    else:
        stopped = np.zeros((len(visits), len(REASONS), arms, BLOCK_SIZE), dtype=np.int64)
    return found | {f"stopped_{name}": stopped[:, code] for code, name in enumerate(REASONS) if code}
