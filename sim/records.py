"""Records of trials as flat tables: one row a replicate, size, estimand and compared arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import BLOCK_SIZE
from sim.endpoints import Score
from sim.events import REASONS
from sim.protocol import Protocol
from sim.trial import Finding, TrialRecord

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
        A row for each replicate × arm × visit (week 0 is baseline), at the largest size.
    trials
        A row for each replicate × size.
    """

    estimates: Table
    arms: Table
    trials: Table


def tabulate(protocol: Protocol, record: TrialRecord, block: int, truth: Mapping[str, Floats]) -> BlockTables:
    """Lay a block's record out as tables; ``truth`` (compared arm, replicate) may be empty."""
    replicate = block * BLOCK_SIZE + np.arange(BLOCK_SIZE)
    estimates = [_estimates(protocol, f, record.sizes, replicate, truth.get(f.estimand)) for f in record.findings]
    return BlockTables(
        estimates=_stack([row for rows in estimates for row in rows]),
        arms=_stack(_arm_rows(protocol, record, replicate)),
        trials=_stack(
            [
                {"replicate": replicate, "n": np.full(BLOCK_SIZE, size), "finished": record.finished[i]}
                for i, size in enumerate(record.sizes)
            ]
        ),
    )


def _stack(rows: list[Table]) -> Table:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _estimates(
    protocol: Protocol, finding: Finding, sizes: tuple[int, ...], replicate: Column, truth: Floats | None
) -> list[Table]:
    estimate, rows = finding.estimate, []
    better = protocol.endpoints[protocol.estimands[finding.estimand].endpoint].better
    p = estimate.one_sided_p(better)
    for a, arm in enumerate(finding.arms):
        for s, size in enumerate(sizes):
            rows.append(
                {
                    "replicate": replicate,
                    "n": np.full(BLOCK_SIZE, size),
                    "estimand": np.full(BLOCK_SIZE, finding.estimand),
                    "arm": np.full(BLOCK_SIZE, arm),
                    "estimate": estimate.estimate[a, s],
                    "se": estimate.se[a, s],
                    "df": estimate.df[a, s],
                    "low": estimate.low[a, s],
                    "high": estimate.high[a, s],
                    "analysed": estimate.n[a, s],
                    "p": p[a, s],
                    "success": finding.success[a, s],
                    "truth": np.full(BLOCK_SIZE, np.nan) if truth is None else truth[a],
                }
            )
    return rows


def _arm_rows(protocol: Protocol, record: TrialRecord, replicate: Column) -> list[Table]:
    """Count by arm and visit: randomised, observed, sum of scores, responders, stopped and left."""
    data, events, rows = record.data, record.events, []
    masks = [data.arm == position for position in range(len(protocol.arms))]
    for visit, week in enumerate(protocol.visits):
        score = data.baseline if visit == 0 else np.ascontiguousarray(data.score[:, :, visit - 1])
        seen = ~np.isnan(score)
        filled = np.where(seen, score, 0.0)
        hits = {
            name: np.nan_to_num(endpoint.value(data.baseline, score)).astype(bool)
            for name, endpoint in protocol.endpoints.items()
            if not isinstance(endpoint, Score)
        }
        left = events.leave < week
        for arm, mine in zip(protocol.arms, masks, strict=True):
            row = {
                "replicate": replicate,
                "arm": np.full(BLOCK_SIZE, arm.name),
                "week": np.full(BLOCK_SIZE, week),
                "randomised": mine.sum(axis=0),
                "observed": (mine & seen).sum(axis=0),
                "score_sum": np.einsum("pr,pr->r", mine, filled),
                "score_squares": np.einsum("pr,pr,pr->r", mine, filled, filled),
                "left": (mine & left).sum(axis=0),
            }
            for code, reason in enumerate(REASONS[1:], start=1):
                row[f"stopped_{reason}"] = (mine & (events.reason == code) & (events.stop < week)).sum(axis=0)
            rows.append(row | {name: (mine & hit).sum(axis=0) for name, hit in hits.items()})
    return rows
