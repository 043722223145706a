"""The site: its commands exist, its generated pages are whole, and the tutorial can be followed."""

import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from sim.adaptive import AdaptiveStudy
from sim.cli.app import command
from sim.core.loading import parse_yaml, validate
from sim.core.parts import Family
from sim.study import Study
from sim.synthesis import Synthesis
from sim.treatments import Treatment
from tests.cli.calling import call

ROOT = Path(__file__).parents[2]
FILES = (Study, Synthesis, AdaptiveStudy)
GUIDES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    spec = spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.json_schema = cache(module.json_schema)  # type: ignore[attr-defined]
    return module


def shell_lines(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line.split(" > ")[0]) for line in lines if line.startswith("sim ")]


def known_command(words: list[str]) -> tuple[Any, list[str]]:
    found = get_command(command()).commands[words[1]]  # type: ignore[attr-defined]
    inner = getattr(found, "commands", {})
    return (inner[words[2]], words[3:]) if inner else (found, words[2:])


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_commands_of_a_guide_exist(page):
    for words in shell_lines(page):
        found, arguments = known_command(words)
        options = {option for parameter in found.params for option in parameter.opts}
        assert {a for a in arguments if a.startswith("--")} <= options, words


def test_every_command_and_every_kind_is_on_a_generated_page(generated):
    commands = "\n".join(generated.commands())
    for name, found in get_command(command()).commands.items():  # type: ignore[attr-defined]
        for inner in getattr(found, "commands", {None: None}):
            assert f"## sim {name}" + (f" {inner}" if inner else "") in commands
    pages = "\n".join("\n".join(generated.configuration(model, "", "")) for model in FILES)
    for family in Family.__subclasses__():
        ours = [kind for kind, part in family.kinds().items() if part.__module__.startswith("sim.")]
        for kind in ours:  # other tests may have added their own
            assert f"`kind: {kind}`" in pages, (family, kind)


@pytest.mark.parametrize("model", FILES)
def test_links_between_parts_lead_somewhere(generated, model):
    page = "\n".join(generated.configuration(model, "title", "sim run"))
    anchors = re.findall(r"^\((.+)\)=$", page, flags=re.M)
    assert len(set(anchors)) == len(anchors) > 3
    assert set(re.findall(r"\]\(#(.+?)\)", page)) <= set(anchors)
    widths = {row.replace("\\|", "").count("|") for row in page.splitlines() if row.startswith("| ")}
    assert widths == {5}, "four cells a row"


def test_the_treatment_of_the_guide_is_one():
    page = (ROOT / "docs" / "how-to" / "own-arm.md").read_text(encoding="utf-8")
    block = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)[0]
    treatment = validate(parse_yaml(dedent(block), "the guide"), Treatment, "the guide")
    assert treatment.effect.plateau.mean({}) == -0.8  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_tutorial_can_be_followed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = shell_lines(ROOT / "docs" / "tutorial.md")
    assert len(lines) > 6
    for words in lines:
        digest = next(iter(tmp_path.glob("results/my_trial/*")), Path("none")).name
        answer = call(capsys, *(word.replace("DIGEST", digest) for word in words[1:]))
        assert answer.code == 0, (words, answer.errors)
        if words[1] == "schema":
            (tmp_path / "study.schema.json").write_text(answer.out, encoding="utf-8")
    assert len(list(tmp_path.glob("results/my_trial/*/report.html"))) == 1


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("myst_parser", reason="this environment is older than the lock file: no Sphinx")
    ask = [
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        tmp_path / "trees",
        ROOT / "docs",
        tmp_path / "site",
    ]
    done = subprocess.run([sys.executable, "-m", "sphinx", *map(str, ask)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page.stem for page in (tmp_path / "site").rglob("*.html")}
    assert {"index", "tutorial", "commands", "study", "synthesis", "adaptive", "python", "adam"} <= pages
