"""``sim prior``: a prior meets new data, and a conflict is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from sim.mixtures import BetaMixture, NormalMixture
from sim.mixtures.exchange import to_tree
from tests.cli.calling import call


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """One beta distribution, in the folder of a fit."""
    (tmp_path / "mixture.json").write_text(
        json.dumps(to_tree(BetaMixture.of((1.0, 8, 12)))), encoding="utf-8"
    )
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    answer = call(capsys, "prior", *arguments, "--json")
    assert answer.code == 0, answer.errors
    told: dict[str, Any] = json.loads(answer.out)
    return told


def test_counts_are_held_against_the_beta_binomial(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for r, conflict in ((8, False), (18, True)):
        told = asked(capsys, share, "--responders", r, "--patients", 20)
        chance = stats.betabinom(20, 8, 12).pmf(range(21))
        assert told["p"] == pytest.approx(chance[chance <= chance[r] * (1 + 1e-9)].sum())
        assert told["conflict"] is conflict
        assert told["posterior"]["mean"] == pytest.approx((8 + r) / 40)


def test_a_mean_is_held_against_the_normal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prior.json"
    file.write_text(json.dumps(to_tree(NormalMixture.of((1.0, -1.0, 0.3)))), encoding="utf-8")
    told = asked(capsys, file, "--mean", 0.2, "--se", 0.4)
    assert told["p"] == pytest.approx(2 * stats.norm.sf(1.2 / 0.5))
    assert told["conflict"]
    assert told["posterior"]["mean"] == pytest.approx(-1 + 1.2 * 0.09 / 0.25)


def test_the_warning_is_printed_only_where_there_is_one(
    share: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for r, warned in ((8, False), (18, True)):
        said = call(capsys, "prior", share, "--responders", r, "--patients", 20).out
        assert ("in conflict with the prior" in said) is warned


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--mean", 1, "--se", 1), "--responders and --patients, both and only these"),
        (("--responders", 3), "--responders and --patients, both and only these"),
        (("--responders", 30, "--patients", 20), "more than there are"),
    ],
)
def test_data_of_another_kind_are_refused(
    share: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], told: str
) -> None:
    answer = call(capsys, "prior", share, *options)
    assert answer.code == 2
    assert told in answer.errors[0]


def test_a_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, "prior", tmp_path / "no.json", "--mean", 1, "--se", 1)
    assert answer.code == 2
    assert "no.json: no mixture can be read" in answer.errors[0]
