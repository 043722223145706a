"""The notebooks of the tour run from top to bottom; what they say in words is what they show."""

import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "experiments").glob("01*/*.ipynb"))
SLOW = "slow"
"""Tag of a cell that fits a model: only the slow test runs it, and with all replicates."""
FEWER = (r"(replicates[=:] ?)1024", r"\g<1>128")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A notebook's shell in this process: a kernel of its own would cost seconds for each notebook."""
    monkeypatch.chdir(ROOT)
    mpl.use("agg")
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()
    mpl.pyplot.close("all")


def run(shell: InteractiveShell, file: Path) -> dict[str, object]:
    """Run the cells that are not slow, as a reader would, and return the names they leave."""
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "code" and SLOW not in cell.metadata.get("tags", []):
            shell.run_cell(re.sub(*FEWER, cell.source), store_history=False).raise_error()
    return dict(shell.user_ns)


def notebook(name: str) -> Path:
    return next(file for file in NOTEBOOKS if file.stem == name)


def test_the_tour_has_its_five_notebooks():
    assert [file.parent.name[:3] for file in NOTEBOOKS] == ["010", "011", "012", "013", "014"]


def test_quick_tour(shell):
    left = run(shell, notebook("quick_tour"))
    shown = left["success"].set_index(["scenario", "estimand", "n"])["value"]
    assert shown["null", "primary", 200] < 0.1 < 0.5 < shown["expected", "primary", 200]
    assert left["look"]["n"] == 200


def test_own_evidence_enters_and_a_slip_is_told(shell, capsys):
    left = run(shell, notebook("own_evidence"))
    assert "outcomes.csv: row 2: value" in capsys.readouterr().out
    assert "invented2026" in set(left["evidence"].studies["study_id"])


def test_own_arm(shell, capsys):
    left = run(shell, notebook("own_arm"))
    assert "did you mean 'physiotherapy'?" in capsys.readouterr().out
    assert set(left["rows"]["arm"]) == {"active", "physio"}


def test_designs_are_compared_on_the_same_patients(shell):
    left = run(shell, notebook("compare_designs"))
    expected = left["value"]["value"].unstack("protocol").loc["expected"]
    assert expected.loc["expected_n", "group_sequential"] < 200 == expected.loc["expected_n", "fixed"]
    assert left["together"] < left["apart"] / 1.5, "pairing is worth its sentence"


def test_assurance_is_its_closed_form_within_what_the_text_says(shell):
    left = run(shell, notebook("assurance_vs_power"))
    simulated = left["curves"][1.0]
    distance = (simulated["value", "assurance"] - left["by_hand"]).abs()
    assert (distance < 3 * simulated["mcse", "assurance"]).all()
    large = {sd: curve["value", "assurance"].loc[800] for sd, curve in left["curves"].items()}
    assert large[0.2] > large[0.5] > large[1.0]


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_in_a_kernel_of_its_own(file):
    book = nbformat.read(file, as_version=4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
    assert any("image/png" in out.get("data", {}) for cell in book.cells for out in cell.get("outputs", []))
