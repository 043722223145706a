"""Fits that a study lacks are made side by side: the same numbers, and the same errors."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from sim.cli.fit import fit_all
from sim.core.errors import RunError
from sim.core.loading import load
from sim.synthesis import Store, Synthesis
from sim.synthesis.models.map import Map


class Diverging(Map):
    """A prior whose fit fails, in whatever process."""

    kind: Literal["diverging"] = "diverging"

    def write(self, folder: Path, progress: bool = False) -> None:
        raise RunError("the fit did not converge")


@pytest.fixture
def prior(configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Map:
    monkeypatch.chdir(tmp_path)
    folder = configs / "syntheses"
    found = load(folder / "map_placebo_responders.yaml", Synthesis).beside(folder)
    assert isinstance(found, Map)
    return found


def test_together_is_one_by_one(prior: Map, tmp_path: Path) -> None:
    three = [prior.model_copy(update={"name": f"prior_{i}", "robust_weight": 0.1 * i}) for i in (1, 2, 3)]
    together = fit_all(three, quiet=True)
    assert [folder.name.split("-")[0] for folder in together] == ["prior_1", "prior_2", "prior_3"]
    for config, folder in zip(three, together, strict=True):
        alone = Store(tmp_path / "alone").fit(config)
        assert (folder / "map.json").read_bytes() == (alone / "map.json").read_bytes()
        with np.load(folder / "draws.npz") as made, np.load(alone / "draws.npz") as expected:
            assert set(made.files) == set(expected.files)
            assert all(np.array_equal(made[name], expected[name]) for name in made.files)


def test_an_error_beside_is_told(prior: Map) -> None:
    bad = Diverging(**prior.model_dump(exclude={"kind", "name"}), name="bad")
    with pytest.raises(RunError, match="did not converge"):
        fit_all([prior, bad], quiet=True)
    assert Store().find(prior), "what was made stays"
