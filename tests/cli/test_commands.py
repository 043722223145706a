"""What every command owes: help with an example that parses, one JSON object, exit codes, no traceback."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pytest
import typer.main

from sim.analyses.base import Analysis, Estimate
from sim.cli.app import command
from sim.estimand import Observations
from sim.performance import COLUMNS
from tests.cli.calling import call

ROOT = Path(__file__).parents[2]


class Broken(Analysis):
    """An analysis of the user's own that fails while trials run."""

    kind: Literal["broken"] = "broken"

    def estimate(self, observed: Observations) -> Estimate:
        raise ZeroDivisionError("nobody was analysed")

    def words(self) -> str:
        return "a broken analysis"


def commands(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(part, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not getattr(part, "commands", {}):
        yield " ".join(path), part


EVERY = dict(commands(typer.main.get_command(command())))


def test_the_commands_are_the_promised_ones():
    promised = "run check fit size boundaries replay analyse compare report init schema"
    assert set(promised.split()) <= set(EVERY)
    assert {"evidence check", "evidence list", "evidence show"} <= set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_help_has_an_example_that_parses_and_whose_files_are_there(name, capsys):
    answer = call(capsys, *name.split(), "--help")
    assert (answer.code, answer.errors) == (0, [])
    assert "Example:" in answer.out
    examples = re.findall(r"`(sim [^`]+)`", EVERY[name].help)
    assert examples
    for example in examples:
        words = shlex.split(example)[1:]
        assert " ".join(words).startswith(name)
        arguments = words[len(name.split()) :]
        EVERY[name].make_context(name, list(arguments)).close()
        files = [word for word in arguments if word.startswith("configs/")]
        assert all((ROOT / file).is_file() for file in files)


def test_without_arguments_the_help_is_shown(capsys):
    answer = call(capsys)
    assert (answer.code, answer.errors) == (0, [])
    assert all(name.split()[0] in answer.out for name in EVERY)


def one_object(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Call with --json: standard output is one JSON object, standard error is empty."""
    answer = call(capsys, *arguments, "--json")
    assert (answer.code, answer.errors) == (0, [])
    content = json.loads(answer.out)
    assert isinstance(content, dict)
    return content


def test_run_prints_one_object(two_arm_file, tmp_path, capsys):
    folder = tmp_path / "out"
    content = one_object(capsys, "run", two_arm_file, "--replicates", 128, "--workers", 1, "--out", folder)
    assert content["results"] == str(folder)
    assert all(tuple(row) == COLUMNS for row in content["characteristics"])
    metrics = {row["metric"] for row in content["characteristics"]}
    assert {"power", "type_1_error", "assurance", "bias", "coverage", "dropout"} <= metrics
    wanted = "study.yaml provenance.json sources.bib assumptions.md operating_characteristics.csv report.html"
    assert all((folder / name).is_file() for name in wanted.split())


def test_size_prints_one_object(two_arm_file, capsys):
    names = "protocol: small, power_scenario: expected, assurance_scenario: drawn"
    content = one_object(
        capsys,
        "size",
        two_arm_file,
        "--power",
        0.6,
        "--set",
        f"size={{{names}, largest: 400, replicates: 256}}",
    )
    assert {"n_per_arm", "n_total", "power", "mcse", "interval", "curve"} <= set(content)
    assert content["n_total"] == 2 * content["n_per_arm"]


def test_check_prints_one_object(two_arm_file, capsys):
    content = one_object(capsys, "check", two_arm_file)
    assert content["study"] == "two_arm"
    assert content["protocols"]["small"][0].startswith("80 patients are randomised to 2 parallel arms")
    assert set(content["scenarios"]) == {"expected", "drawn", "null"}


def test_boundaries_prints_one_object(capsys):
    content = one_object(capsys, "boundaries", "--information", "0.5,1", "--spending", "pocock")
    wanted = "efficacy_z futility_z nominal_p alpha_spent beta_spent inflation expected_n_ratio"
    assert set(wanted.split()) <= set(content)


def test_fit_prints_one_object(configs, tmp_path, capsys):
    file = configs / "syntheses" / "map_placebo_responders.yaml"
    content = one_object(capsys, "fit", file, "--results", tmp_path)
    assert {"map", "tau", "mixture", "ess"} <= set(content)


def test_evidence_prints_one_object(capsys):
    assert one_object(capsys, "evidence", "check")["studies"] > 0
    assert one_object(capsys, "evidence", "show", "ashar2022")["studies"][0]["study_id"] == "ashar2022"


def test_work_that_fails_leaves_with_1_and_names_the_trials(two_arm_file, tmp_path, capsys):
    broken = f"protocols.small.looks.0.analysis={{kind: '{__name__}:Broken', estimand: primary}}"
    arguments = ["run", two_arm_file, "--replicates", 128, "--workers", 1, "--out", tmp_path / "out"]
    answer = call(capsys, *arguments, "--set", broken)
    assert (answer.code, answer.out) == (1, "")
    last = answer.errors[-1]
    assert last.startswith("sim: protocol small, scenario ")
    assert "replicates 0 to 127: ZeroDivisionError: nobody was analysed; sim replay " in last
    assert not any("Traceback" in line for line in answer.errors)
    shown = call(capsys, "--debug", *arguments, "--set", broken)
    assert shown.code == 1
    assert "Traceback (most recent call last):" in shown.errors
    assert shown.errors[-1] == last


def test_debug_shows_the_traceback_of_wrong_input_and_still_leaves_with_2(two_arm_file, capsys):
    answer = call(capsys, "check", two_arm_file, "--set", "seed=-1", "--debug")
    assert (answer.code, answer.out) == (2, "")
    assert "Traceback (most recent call last):" in answer.errors
    assert answer.errors[-1].startswith(f"sim: {two_arm_file}: seed: ")


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 0), (["check", "STUDY"], 0), (["check", "nowhere"], 2), (["run", "--x"], 2)]
)
def test_the_process_leaves_with_the_same_code(two_arm_file, tmp_path, arguments, code):
    arguments = [str(two_arm_file) if argument == "STUDY" else argument for argument in arguments]
    ended = subprocess.run(
        [sys.executable, "-m", "sim", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == code
    assert (ended.stdout == "") == (code != 0)
    assert len(ended.stderr.splitlines()) == (1 if code else 0)
    assert not list(tmp_path.iterdir())


def test_the_version_is_that_of_the_package(capsys):
    assert call(capsys, "--version").out == f"sim {version('sim')}\n"
