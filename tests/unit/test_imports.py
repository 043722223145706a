"""``import sim`` is light: a fresh interpreter shows what it loads."""

import subprocess
import sys

import pytest

HEAVY = (
    *("pymc", "arviz", "nutpie", "pytensor", "matplotlib", "pandas", "simpy", "jinja2", "typer", "rich"),
    *("dask", "statsmodels", "pyarrow", "numba", "scipy.stats"),
)


def loaded_by(code: str) -> set[str]:
    """Modules that a fresh interpreter has after ``code``."""
    command = [sys.executable, "-I", "-c", f"import sys\n{code}\nprint('\\n'.join(sys.modules))"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("code", ["import sim", "from sim import Plan, Results, Study, run"])
def test_no_heavy_library_is_loaded(code):
    loaded = loaded_by(code)
    assert "sim" in loaded
    assert not loaded & set(HEAVY)


def test_importing_sim_alone_loads_nothing_of_the_simulator():
    assert not {name for name in loaded_by("import sim") if name.startswith("sim.")}
    assert "numpy" not in loaded_by("import sim")


def test_reading_a_study_loads_no_heavy_library(two_arm_file):
    code = f"from sim import Study\nStudy.load({str(two_arm_file)!r})"
    assert not loaded_by(code) & set(HEAVY)


def test_a_name_that_is_not_there_is_an_attribute_error():
    import sim

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sim.nothing
