"""What the README and the notebooks show is run."""

import re
import shutil
from pathlib import Path
from types import MappingProxyType

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from sim import Plan, Results, Study, run

ROOT = Path(__file__).parents[2]
CLASSES = ("inert", "no_treatment_control", "nsaid", "antidepressant", "physical", "psychological")
TREATMENTS = MappingProxyType(
    {"placebo": 0, "usual_care": 1, "open_label_placebo": 0, "nsaid": 2, "exercise": 4, "mirtazapine": 3,
     "snri": 3, "pain_reprocessing": 5}
)  # fmt: skip

RATES = ("hazard_adverse_event", "hazard_adverse_event_early", "hazard_inefficacy", "hazard_other")


def made_draws(folder: Path) -> Path:
    """Draws of a made-up synthesis with every effect and rate that the chronic scenario names."""
    stream, size = np.random.default_rng(1), 200
    k, c = len(TREATMENTS), len(CLASSES)
    arrays = {
        "digest": np.array("made up"),
        "treatments": np.array(list(TREATMENTS)),
        "classes": np.array(CLASSES),
        "effect_new": stream.normal(-0.5, 0.3, (size, k)),
        "class_new": stream.normal(-0.4, 0.3, (size, c)),
        "response": stream.normal(1.5, 0.2, size),
        "response_new": stream.normal(1.5, 0.6, size),
        "response_half_weeks": stream.lognormal(0.9, 0.2, size),
        "effect_half_weeks": stream.lognormal(0.5, 0.3, (size, c)),
        "persistence_half_weeks": stream.lognormal(2, 0.5, (size, c)),
        "rates": np.array(RATES),
        "rate_new": stream.lognormal(-5, 0.3, (size, k, len(RATES))),
    }
    np.savez(folder / "draws.npz", **arrays)
    (folder / "sources.csv").write_text("study_id,citation,doi,url\nmade2026,Made up,,\n")
    return folder / "draws.npz"


@pytest.fixture(scope="module")
def four_arms(tmp_path_factory) -> Results:
    study = Study.load(ROOT / "configs" / "studies" / "chronic_four_arms.yaml", ("replicates=128",))
    draws = made_draws(tmp_path_factory.mktemp("fit"))
    return run(
        study,
        Plan(posteriors=dict.fromkeys(("chronic", "discontinuation_chronic"), draws)),
        tmp_path_factory.mktemp("run"),
    )


def test_the_notebook_runs_on_a_finished_run(four_arms, monkeypatch):
    monkeypatch.setenv("SIM_RESULTS", str(four_arms.folder))
    book = nbformat.read(ROOT / "experiments" / "001-four-arms" / "four_arms.ipynb", as_version=4)
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert sum("text/html" in out.get("data", {}) for out in shown) == 3
    assert "pain_reprocessing" in str(shown)


def test_notebooks_are_kept_without_outputs():
    for file in (ROOT / "experiments").rglob("*.ipynb"):
        book = nbformat.read(file, as_version=4)
        assert not any(cell.get("outputs") for cell in book.cells), file


GENERATED = ROOT / "docs" / "_generated"
PAGES = [ROOT / "README.md", *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p.parent != GENERATED)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, monkeypatch, capsys):
    """The blocks of a page follow each other in one scope, as a reader would type them."""
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S):
        exec(compile(block, page.name, "exec"), scope)
    if page.stem == "README":
        shutil.rmtree(scope["results"].folder)  # type: ignore[attr-defined]
        assert "type_1_error" in capsys.readouterr().out


def test_what_a_page_links_to_is_there():
    """Pages that are written when the site is built apart: strict building holds those."""
    for page in (ROOT / "ARCHITECTURE.md", *PAGES):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            file = (page.parent / target).resolve()
            assert file.exists() or file.parent == GENERATED, f"{page.name}: {target}"


def test_the_python_of_the_designs_page_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "designs.md").read_text(), flags=re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "designs.md", "exec"), {})
    assert "by Dunnett's step-down test" in capsys.readouterr().out


def test_the_commands_of_the_designs_page_exist():
    """Each names a command, options that it has, and a file that is there."""
    from typer.main import get_command

    from sim.cli.app import command

    known = get_command(command()).commands  # type: ignore[attr-defined]
    shown = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "designs.md").read_text(), flags=re.S)
    lines = [line.split() for block in shown for line in block.splitlines()]
    assert len(lines) > 5
    for _, name, *arguments in lines:
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert {a for a in arguments if a.startswith("--")} <= options, (name, arguments)
        for file in (a for a in arguments if a.endswith(".yaml")):
            assert (ROOT / file).exists(), file
