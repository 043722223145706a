"""A fit is there whole or not at all."""

import json
import os
from pathlib import Path
from typing import Literal

import pytest
import typer
from typer.testing import CliRunner

from sim.cli.fit import COLUMNS, fit
from sim.core.errors import RunError
from sim.core.loading import load
from sim.synthesis import Store, Synthesis


class Fake(Synthesis):
    """Writes one line, and then does as told."""

    kind: Literal["fake_for_tests"] = "fake_for_tests"
    then: str = "finish"

    def digest(self) -> str:
        return f"d{self.seed}"

    def write(self, folder: Path, progress: bool = False) -> None:
        (folder / "diagnostics.json").write_text("{}")
        if self.then == "stop":
            raise KeyboardInterrupt
        if self.then == "fail":
            raise RunError("did not converge")
        (folder / "draws.npz").write_text(str(os.urandom(8)))


def test_a_finished_fit_is_found(tmp_path: Path) -> None:
    store, config = Store(tmp_path / "fits"), Fake(name="a", seed=1)
    assert store.find(config) is None
    folder = store.fit(config)
    assert folder == tmp_path / "fits" / "a-d1" == store.find(config)
    before = (folder / "draws.npz").read_text()
    assert (store.fit(config) / "draws.npz").read_text() == before
    assert (store.fit(config, force=True) / "draws.npz").read_text() != before
    assert [p.name for p in (tmp_path / "fits").iterdir()] == ["a-d1"]


def test_an_interrupted_fit_leaves_nothing(tmp_path: Path) -> None:
    store, config = Store(tmp_path), Fake(name="a", seed=1, then="stop")
    with pytest.raises(KeyboardInterrupt):
        store.fit(config)
    assert store.find(config) is None
    assert list(tmp_path.iterdir()) == []


def test_a_failed_fit_keeps_its_diagnostics_only(tmp_path: Path) -> None:
    store, config = Store(tmp_path), Fake(name="a", seed=1, then="fail")
    with pytest.raises(RunError, match=r"did not converge; diagnostics in .*a-d1.failed.json"):
        store.fit(config)
    assert store.find(config) is None
    assert [p.name for p in tmp_path.iterdir()] == ["a-d1.failed.json"]


def test_the_shipped_configurations_have_stable_digests() -> None:
    configs = Path(__file__).parents[2] / "configs" / "syntheses"
    for name in ("chronic", "acute"):
        first, again = (load(configs / f"{name}.yaml", Synthesis) for _ in range(2))
        assert first.digest() == again.digest()
        other = load(configs / f"{name}.yaml", Synthesis, ["priors.response.mean=3"])
        assert other.digest() != first.digest()


def test_the_command_prints_one_json_object(tmp_path: Path) -> None:
    file = Path(__file__).parents[2] / "configs" / "syntheses" / "acute.yaml"
    place = Store(tmp_path).place(load(file, Synthesis))
    place.mkdir(parents=True)
    (place / "draws.npz").touch()
    header = "treatment,class,mean,sd,low,high,trials,patients,basis"
    (place / "effects.csv").write_text(f"{header}\nnsaid,nsaid,-1,0.2,-1.4,-0.6,4,815,direct\n")
    (place / "diagnostics.json").write_text(
        json.dumps({"diagnostics": {"max_rhat": 1.0}, "heterogeneity": {}})
    )
    app = typer.Typer()
    app.command()(fit)
    result = CliRunner().invoke(app, [str(file), "--json", "--results", str(tmp_path)])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert set(told) == {"effects", "diagnostics", "heterogeneity", "folder"}
    assert tuple(told["effects"][0]) == COLUMNS
