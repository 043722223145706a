"""Scales and spread: closed forms."""

import numpy as np
import pandas as pd
import pytest

from sim.synthesis.scales import Spread, pooled_spread


def reported(weeks: list[float], study: str, log_sd: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"study_id": study, "weeks": weeks, "sd": np.exp(log_sd)})


def test_an_exact_line_is_found() -> None:
    weeks = [0.0, 3.0, 12.0]
    line = [0.3 + 0.2 * float(np.log1p(w)) for w in weeks]
    table = pd.concat([reported(weeks, name, line) for name in ("a", "b", "c")])
    spread = pooled_spread(table)
    assert (spread.level, spread.growth) == pytest.approx((0.3, 0.2))
    assert spread.residual == pytest.approx(0.0, abs=1e-12)
    assert spread.sd(12.0) == pytest.approx(np.exp(0.3) * 13**0.2)


def test_a_study_counts_once_however_many_rows_it_prints() -> None:
    base = [reported([0.0], "a", [0.2]), reported([0.0], "b", [0.6]), reported([12.0], "c", [0.7])]
    again = [reported([0.0, 0.0, 0.0], "a", [0.2] * 3), *base[1:]]
    once, often = pooled_spread(pd.concat(base)), pooled_spread(pd.concat(again))
    assert (often.level, often.growth, often.residual) == pytest.approx(
        (once.level, once.growth, once.residual)
    )


def test_residual_is_between_studies() -> None:
    """Six log SDs ±0.1 around one week, another week fitted exactly: 7 studies less 2 parameters."""
    rows = [reported([0.0], f"s{i}", [0.5 + 0.1 * (-1) ** i]) for i in range(6)] + [
        reported([9.0], "t", [0.8])
    ]
    assert pooled_spread(pd.concat(rows)).residual == pytest.approx(np.sqrt(6 * 0.01 / 5))


def test_assumed_variance_is_the_expected_variance() -> None:
    """E[exp(2 X)] for X normal is exp(2 mean + 2 variance)."""
    spread = Spread(level=0.6, growth=0.0, residual=0.3)
    assert float(spread.assumed_sd(5.0)) ** 2 == pytest.approx(np.exp(1.2 + 2 * 0.09))


def test_change_sd_is_that_of_a_difference() -> None:
    spread = Spread(level=np.log(2.0), growth=0.0, residual=0.0)
    assert spread.change_sd(12.0, 0.5) == pytest.approx(2.0)
    assert spread.change_sd(12.0, 0.0) == pytest.approx(2.0 * np.sqrt(2))
