"""The results' grid for Airship, and effects as mixtures for RBesT."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from sim.claims import Posterior
from sim.export.airship import EVERY, INPUTS, grid
from sim.export.rbest import priors
from sim.mixtures import from_json
from tests.cli.calling import call


def test_the_grid_holds_every_number_once_with_inputs_first(eventful_run, tmp_path, capsys):
    answer = call(capsys, "export", eventful_run.folder, "--format", "airship", "--out", tmp_path)
    assert (answer.code, answer.errors) == (0, [])
    wide = pd.read_csv(tmp_path / "airship.csv")
    assert tuple(wide.columns[: len(INPUTS)]) == INPUTS
    assert not wide[list(INPUTS)].isna().any().any()
    assert not wide.duplicated(list(INPUTS)).any()
    long = wide.melt(list(INPUTS), var_name="metric").dropna()
    tidy = eventful_run.characteristics
    told = {
        (*key, metric): value
        for *key, metric, value in long[[*INPUTS, "metric", "value"]].itertuples(index=False)
    }
    expected = {}
    for row in tidy.fillna({"estimand": EVERY, "arm": EVERY}).itertuples():
        key = (row.protocol, row.scenario, row.n, row.estimand, row.arm)
        expected |= {(*key, row.metric): row.value, (*key, f"{row.metric}_mcse"): row.mcse}
    assert told == {key: value for key, value in expected.items() if value == value}


def test_the_grid_keeps_the_order_of_the_table():
    rows = [("p", s, n, e, "a", "power", 0.5, 0.01, 10) for s in "zy" for n in (20, 10) for e in "ba"]
    columns = [*INPUTS, "metric", "value", "mcse", "replicates"]
    wide = grid(pd.DataFrame(rows, columns=columns))
    assert list(wide[list(INPUTS)].itertuples(index=False, name=None)) == [row[:5] for row in rows]


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """Draws of a made-up network: one treatment normal, one of two humps, and the reference."""
    stream = np.random.default_rng(5)
    humps = np.where(stream.random(1000) < 0.7, stream.normal(-1.5, 0.3, 1000), stream.normal(0, 0.5, 1000))
    effects = np.column_stack([np.zeros(1000), stream.normal(-0.5, 0.2, 1000), humps])
    names = np.array(["placebo", "mild", "divided"])
    folder = tmp_path_factory.mktemp("fit")
    np.savez(folder / "draws.npz", digest=np.array("made"), treatments=names, effect_new=effects)
    return folder


def test_a_prior_is_a_mixture_that_its_draws_do_not_contradict(fit):
    posterior = Posterior.read("made", fit / "draws.npz")
    found = {prior.treatment: prior for prior in priors(posterior)}
    assert set(found) == {"mild", "divided"}, "the reference has no effect to describe"
    assert (found["mild"].mixture.size, found["divided"].mixture.size) == (1, 2)
    for name, prior in found.items():
        draws = posterior.array("effect_new")[:, posterior.position("treatments", name)]
        assert prior.furthest == pytest.approx(kstest(draws, prior.mixture.cdf).statistic, rel=1e-9)
        assert prior.furthest < 1.36 / np.sqrt(len(draws)), "Kolmogorov's bound at 5 %"
        assert (prior.mean, prior.sd) == pytest.approx((draws.mean(), draws.std(ddof=1)))
        assert prior.mixture.mean() == pytest.approx(draws.mean(), abs=0.01 * draws.std())


def test_the_command_writes_what_rbest_reads(fit, tmp_path, capsys):
    out = tmp_path / "out"
    answer = call(capsys, "export", fit, "--format", "rbest", "--out", out)
    assert (answer.code, answer.errors) == (0, [])
    text = (out / "divided.json").read_text("utf-8")
    assert json.loads(text)["meta"]["class"] == ["normMix", "mix"]
    table = pd.read_csv(out / "priors.csv", index_col="treatment")
    assert list(table.index) == ["mild", "divided"]
    assert from_json(text).size == table.loc["divided", "components"]
    assert from_json(text).mean() == pytest.approx(table.loc["divided", "mean"], abs=0.01)


def test_the_prior_of_a_control_arm_is_copied(tmp_path, capsys):
    fit, out = tmp_path / "fit", tmp_path / "out"
    fit.mkdir()
    (fit / "mixture.json").write_text("{}", encoding="utf-8")
    assert call(capsys, "export", fit, "--format", "rbest", "--out", out).code == 0
    assert (out / "mixture.json").read_text("utf-8") == "{}"


def test_a_folder_without_a_fit_or_a_run_is_refused(tmp_path, capsys):
    for form, said in (("rbest", "holds no fit"), ("airship", "holds no finished run")):
        answer = call(capsys, "export", tmp_path, "--format", form, "--out", tmp_path / "x")
        assert (answer.code, answer.out, len(answer.errors)) == (2, "", 1)
        assert said in answer.errors[0]
    gone = call(capsys, "export", tmp_path / "no", "--format", "adam", "--out", tmp_path / "x")
    assert "no such folder" in gone.errors[0]
