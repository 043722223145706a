"""What is computed from draws after sampling equals what the model itself says, draw by draw."""

import numpy as np
import pytensor
import xarray as xr
from pytensor.compile.mode import Mode

from sim.synthesis.model import build_model
from sim.synthesis.sampling import derived
from tests.synthesis.test_observed_model import network, with_patients

CHAINS, DRAWS = 2, 130
"""More draws in all than are computed together."""


def test_derived_quantities_are_those_of_the_model() -> None:
    """Twin: the model's own graph, one draw at a time."""
    model = build_model(with_patients(), network(seed=3, independent=True))
    rng = np.random.default_rng(7)
    shapes = {v.name: tuple(v.shape.eval()) for v in model.free_RVs}
    drawn = xr.Dataset(
        {
            name: (["chain", "draw", *(f"{name}_{i}" for i in range(len(shape)))],
                   0.5 * rng.standard_normal((CHAINS, DRAWS, *shape)))
            for name, shape in shapes.items()
        }
    )  # fmt: skip
    found = derived(model, drawn)
    assert set(found) == {v.name for v in model.deterministics} >= {"effect", "reported", "share"}
    values = [model.rvs_to_values[v] for v in model.free_RVs]
    wanted = model.replace_rvs_by_values(model.deterministics)
    plain = pytensor.function(values, wanted, mode=Mode("py", None), on_unused_input="ignore")
    for chain, draw in ((0, 0), (0, 119), (0, 120), (1, DRAWS - 1)):
        told = plain(*(drawn[v.name].to_numpy()[chain, draw] for v in values))
        for variable, value in zip(model.deterministics, told, strict=True):
            made = found[variable.name][1][chain, draw]
            np.testing.assert_allclose(made, value, rtol=1e-12, atol=1e-12)
