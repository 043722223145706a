"""Every member of every family is complete: documented, in an example, round-tripping, and tested."""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import sim
from sim.adaptive import AdaptiveStudy
from sim.cli.analyse import read_analysis
from sim.core.loading import dump, load, read_yaml, validate
from sim.core.parts import Family
from sim.study import Study

TESTS = Path(__file__).parents[1]
CONFIGS = TESTS.parent / "configs"
MEMBERS_FILE = TESTS / "studies" / "members.yaml"
STUDIES = [*sorted((CONFIGS / "studies").glob("*.yaml")), TESTS / "studies" / "two_arm.yaml"]

for module in pkgutil.walk_packages(sim.__path__, "sim."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

FAMILIES = {part.__name__: part for part in Family.__subclasses__() if part.__module__.startswith("sim.")}
OWN_NUMBERS = ("Spending.user", "Spending.z")
"""Without a source: they hold what the user gives."""
STATISTICAL = (
    "Analysis",
    "Rule",
    "Spending",
    "Synthesis",
    "Operations",
    "Effect",
    "Allocation",
    "Multiplicity",
)
MEMBERS = {
    f"{family.__name__}.{kind}": member
    for family in FAMILIES.values()
    for kind, member in family.kinds().items()
    if member.__module__.startswith("sim.")
}
REFERENCE = re.compile(r"doi:10\.\d{4,}/\S+|\b[A-Z]\w+[^.]{0,80}\b(?:19|20)\d\d\b|\b[Ss]ection \d")


def parts_in(value: Any) -> Iterator[BaseModel]:
    """Every part inside a part, itself first."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from parts_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from parts_in(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from parts_in(item)


def roots() -> Iterator[BaseModel]:
    """What the example files hold: studies, analyses of real data, syntheses, and members on their own."""
    yield from (Study.load(file) for file in STUDIES)
    yield from (read_analysis(file)[1] for file in sorted((CONFIGS / "analyses").glob("*.yaml")))
    synthesis = FAMILIES["Synthesis"]
    yield from (load(file, synthesis) for file in sorted((CONFIGS / "syntheses").glob("*.yaml")))
    yield from (AdaptiveStudy.load(file) for file in sorted((CONFIGS / "adaptive").glob("*.yaml")))
    for family, trees in read_yaml(MEMBERS_FILE).items():
        yield from (validate(tree, FAMILIES[family], MEMBERS_FILE.name) for tree in trees)


@pytest.fixture(scope="module")
def examples() -> dict[type[BaseModel], BaseModel]:
    """One part of each class that the example files use."""
    return {type(part): part for root in roots() for part in parts_in(root)}


def family_of(member: type[Family]) -> type[Family]:
    return next(family for family in FAMILIES.values() if issubclass(member, family))


def test_the_families_are_the_known_ones():
    wanted = "Allocation Analysis Claim Effect Endpoint Evaluation Operations Rule Spending Synthesis"
    assert set(wanted.split()) <= set(FAMILIES)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_says_what_it_is_and_where_it_comes_from(name):
    member = MEMBERS[name]
    text = member.__doc__ or ""
    assert len(text.split()) >= 3
    assert text != family_of(member).__doc__
    if name.split(".")[0] in STATISTICAL and name not in OWN_NUMBERS:
        assert REFERENCE.search(text), f"{name}: the docstring names no source (author year, DOI or section)"


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_has_an_example(name, examples):
    assert MEMBERS[name] in examples, f"{name} is in no file under configs/ or tests/studies/"


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_survives_the_round_trip(name, examples):
    member = MEMBERS[name]
    part = examples[member]
    again = validate(dump(part), family_of(member), name)
    assert type(again) is member
    assert again == part


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_is_named_by_a_test(name):
    member = MEMBERS[name]
    kind = re.escape(name.split(".")[1])
    named = re.compile(rf"\b{member.__name__}\b|kind: {kind}\b|[\"']{kind}[\"':]")
    files = [file for file in TESTS.rglob("test_*.py") if file != Path(__file__)]
    assert any(named.search(file.read_text("utf-8")) for file in files), f"no test names {name}"


def included(tree: Any, folder: Path) -> Iterator[Path]:
    """Every file that a tree takes as a base."""
    if isinstance(tree, dict):
        if isinstance(tree.get("from"), str):
            yield (folder / tree["from"]).resolve()
        for value in tree.values():
            yield from included(value, folder)
    elif isinstance(tree, list):
        for value in tree:
            yield from included(value, folder)


def reachable() -> set[Path]:
    """Files under configs/ that a study uses, the studies first."""
    found: set[Path] = set()
    waiting = [file.resolve() for file in (CONFIGS / "studies").glob("*.yaml")]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += included(read_yaml(file), file.parent)
    return found


def test_every_configuration_is_used_by_a_study_or_given_to_a_command_by_a_test():
    tests = "".join(file.read_text("utf-8") for file in TESTS.rglob("*.py"))
    used = reachable()
    unused = [
        str(file.relative_to(CONFIGS))
        for file in sorted(CONFIGS.rglob("*.yaml"))
        if file.resolve() not in used
        and file.parent != CONFIGS / "adaptive"  # each is run by tests/cli/test_adaptive.py
        and file.parent != CONFIGS / "analyses"  # each is run by tests/analyses/test_analyse_command.py
        and not (file.parent.name == "syntheses" and (file.name in tests or file.stem in tests))
    ]
    assert not unused
