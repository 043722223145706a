"""A finished run with everything that a report can show."""

import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from sim import Plan, Results, Study, run
from sim.examples import write as write_examples
from sim.report.html import render
from sim.report.material import Material
from sim.report.picture import Picture
from sim.report.pictures import MAKERS
from sim.sensitivity import vary
from sim.sensitivity import write as write_sensitivity
from sim.variation import STANDARD, Sensitivity

EFFECTS = """treatment,class,mean,sd,low,high,trials,patients,basis
talking,psychological,-1.3,0.4,-2.1,-0.5,1,45,direct
other,antidepressant,-0.4,0.25,-0.9,0.1,3,422,indirect
"""
EXCLUSIONS = """study_id,file,row,reason
a2001,outcomes.csv,4,flare design
b2002,outcomes.csv,9,flare design
c2003,contrasts.csv,2,role: context
"""
CHECKS = "study_id,treatment,reported,fit,note\nd2004,talking,-1.1,-1.3,\n"
DIAGNOSTICS = """{"diagnostics": {"max_rhat": 1.004, "divergences": 0, "failed": [], "converged": true},
"heterogeneity": {"tau_effect": {"mean": 0.42, "sd": 0.14, "low": 0.19, "high": 0.72}}}"""
SIZES = """protocol,target,goal,scenario,arm,n_per_arm,n_total,value,mcse,low,high,note
small,power,0.9,expected,active,75,300,0.905,0.008,70.5,81.25,
small,power,0.9,expected,both,,,0.31,0.01,,,power is 0.31 at the largest size looked at (4000 patients)
small,power,0.9,expected,talk,60,240,0.91,0.008,55,66,
small,assurance,0.8,drawn,active,130,520,0.81,0.01,118,150,
small,assurance,0.8,drawn,both,,,0.44,0.01,,,assurance levels off at 0.44
small,assurance,0.8,drawn,talk,90,360,0.8,0.01,80,101,
"""

REGION = """protocol,hypothesis,population.variation.sd,treatments.placebo.withdrawal,value,mcse,high,\
replicates
small,primary.active,1.5,0.005,0.026,0.002,0.034,4096
small,primary.active,2.7,0.005,0.031,0.003,0.039,4096
small,any,1.5,0.005,0.052,0.004,0.066,4096
small,any,2.7,0.005,0.055,0.004,0.069,4096
"""


def write_draws(folder: Path) -> Path:
    """Write the draws of a synthesis of two treatments, as a fit would."""
    stream = np.random.default_rng(5)
    effect = stream.normal([-1.3, -0.4], [0.5, 0.3], (400, 2))
    file = folder / "draws.npz"
    np.savez(
        file, digest=np.array("toydigest"), response=np.zeros(400), treatments=np.array(["talking", "other"]),
        effect_new=effect,
    )  # fmt: skip
    (folder / "sources.csv").write_text(
        "study_id,citation,doi,url\ntrial2001,One trial,,https://example.org/t\n"
    )
    return file


def write_synthesis(folder: Path) -> None:
    """Write what a run keeps of a synthesis."""
    for name, text in (("effects", EFFECTS), ("exclusions", EXCLUSIONS), ("check", CHECKS)):
        (folder / f"{name}.csv").write_text(text)
    (folder / "diagnostics.json").write_text(DIAGNOSTICS)
    (folder / "figures").mkdir()
    for name in ("forest", "network"):
        Figure(figsize=(2, 1)).savefig(folder / "figures" / f"{name}.png")


def size_curve() -> str:
    """Curves that rise to 0.9 or stay at 0.3."""
    lines = ["protocol,target,scenario,arm,n_total,n_per_arm,value,mcse"]
    for target, scenario in (("power", "expected"), ("assurance", "drawn")):
        for arm, top in (("active", 0.9), ("both", 0.3), ("talk", 0.92)):
            for total in (40, 160, 640, 2560):
                value = top * total / (total + 100)
                lines.append(f"small,{target},{scenario},{arm},{total},{total // 4},{value:.4f},0.01")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("run")
    study = Study.load(Path(__file__).parent / "borrowing.yaml")
    draws = write_draws(tmp_path_factory.mktemp("fit"))
    results = run(study, Plan(posteriors={"toy": draws}, workers=1), folder)
    (folder / "sample_sizes.csv").write_text(SIZES)
    (folder / "size_curve.csv").write_text(size_curve())
    plan = Plan(posteriors={"toy": draws}, workers=1)
    write_examples(folder, study, results, plan)
    write_sensitivity(folder, vary(study, Sensitivity(vary=(STANDARD[0], STANDARD[3]), replicates=128), plan))
    (folder / "region.csv").write_text(REGION)
    (folder / "synthesis" / "toy").mkdir(parents=True)
    write_synthesis(folder / "synthesis" / "toy")
    render(results)
    return results


@pytest.fixture
def copy(finished: Results, tmp_path: Path) -> Results:
    """The finished run in a folder that a test may change."""
    shutil.copytree(finished.folder, tmp_path / "run")
    return Results.open(tmp_path / "run")


@pytest.fixture
def drawn(finished: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the figures of the finished run as they are, where a test is about the text alone."""

    def kept(material: Material) -> dict[str, Picture | None]:
        folder = material.results.folder / "figures"
        places = {name: folder / f"{name}.png" for name in MAKERS}
        return {name: Picture(at, name, name) if at.exists() else None for name, at in places.items()}

    monkeypatch.setattr("sim.report.html.draw", kept)


@dataclass
class Shown:
    """One cell of a table: its text, and its exact value where it carries one."""

    text: str = ""
    value: float | None = None


class Page(HTMLParser):
    """A report taken apart: tags with their attributes, text by section, tables by caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {"": ""}
        self.tables: dict[str, list[list[Shown]]] = {}
        self._rows: list[list[Shown]] = []
        self._section, self._caption, self._open = "", "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        self._open = tag
        if tag == "section":
            self._section = str(values["id"])
            self.sections[self._section] = ""
        elif tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append(Shown())
        elif tag == "data":
            self._rows[-1][-1].value = float(str(values["value"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.sections[self._section] += data
        if self._open == "caption":
            self._caption = data
        elif self._open in ("td", "th", "data"):
            self._rows[-1][-1].text += data


@pytest.fixture(scope="session")
def page(finished: Results) -> Page:
    return Page((finished.folder / "report.html").read_text(encoding="utf-8"))
