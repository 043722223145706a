"""What ``init`` writes runs at once; what ``schema`` prints agrees with what the program reads."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sim import Plan, Study, run
from sim.core.loading import override, read_yaml, resolve
from tests.cli.calling import call

CONFIGS = Path(__file__).parents[2] / "configs"
STUDIES = sorted((CONFIGS / "studies").glob("*.yaml"))
SYNTHESES = sorted((CONFIGS / "syntheses").glob("*.yaml"))


def schema_of(capsys: pytest.CaptureFixture[str], what: str) -> Draft202012Validator:
    answer = call(capsys, "schema", what)
    assert (answer.code, answer.errors) == (0, [])
    schema = json.loads(answer.out)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def plain(tree: Any) -> Any:
    """Give a YAML tree the types of JSON."""
    return json.loads(json.dumps(tree))


def test_what_init_writes_runs_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "init", "my_trial").code == 0
    assert call(capsys, "check", "my_trial.yaml").code == 0
    study = Study.load("my_trial.yaml", ("replicates=256",))
    assert study.name == "my_trial"
    results = run(study, Plan(workers=1), tmp_path / "out").characteristics
    shown = results.query("estimand == 'primary' and n == 200").set_index(["scenario", "metric"])["value"]
    assert shown["null", "type_1_error"] < 0.1 < 0.5 < shown["expected", "power"]
    assert 0 < shown["drawn", "assurance"] < 1
    assert "my_trial.yaml" in Path("my_trial.yaml").read_text("utf-8")


def test_init_overwrites_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("precious", encoding="utf-8")
    for name in ("mine", "mine.yaml"):
        answer = call(capsys, "init", name)
        assert (answer.code, answer.out, len(answer.errors)) == (2, "", 1)
        assert "mine.yaml: is already there" in answer.errors[0]
    assert Path("mine.yaml").read_text("utf-8") == "precious"
    assert "cannot be written" in call(capsys, "init", "no/such/folder/x").errors[0]


def test_every_study_fits_the_schema_as_written_and_resolved(two_arm_file, capsys):
    validator = schema_of(capsys, "study")
    for file in (*STUDIES, two_arm_file):
        written = read_yaml(file)
        validator.validate(plain(written))
        validator.validate(plain(resolve(written, file.resolve())))


def test_every_synthesis_fits_its_schema(capsys):
    validator = schema_of(capsys, "synthesis")
    assert SYNTHESES
    for file in SYNTHESES:
        validator.validate(plain(read_yaml(file)))


@pytest.mark.parametrize(
    "change",
    [
        "colour=red",
        "seed=-1",
        "replicates=0",
        "schema=2",
        "protocols.small.n=-5",
        "protocols.small.colour=red",
        "protocols.small.looks.0.analysis.kind=ancovaa",
        "protocols.small.looks.0.rule={kind: one_sided, beta: 2}",
        "protocols.small.estimands.primary.summary=median",
        "protocols.small.estimands.primary.contrast.of=3",
        "scenarios.expected.recruitment=2",
        "scenarios.expected.recruitment={kind: normal, mean: 0, sd: -1}",
        "scenarios.expected.treatments.drug.effect.kind=sudden",
        "scenarios.expected.claims={kind: sceptical, factor: 2}",
    ],
)
def test_what_the_program_refuses_the_schema_refuses(two_arm_file, capsys, change):
    validator = schema_of(capsys, "study")
    tree = override(plain(read_yaml(two_arm_file)), change)
    assert not validator.is_valid(plain(tree))
    assert call(capsys, "check", two_arm_file, "--set", change).code == 2


def test_a_member_of_ones_own_fits_the_schema(two_arm_file, capsys):
    analysis = "protocols.small.looks.0.analysis={kind: 'my.module:Analysis', estimand: primary, depth: 3}"
    tree = override(plain(read_yaml(two_arm_file)), analysis)
    schema_of(capsys, "study").validate(plain(tree))


def test_only_a_study_and_a_synthesis_have_a_schema(capsys):
    answer = call(capsys, "schema", "protocol")
    assert (answer.code, answer.out) == (2, "")
    assert "'study', 'synthesis'" in answer.errors[0]
